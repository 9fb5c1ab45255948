// The search view.
import "./actions.js";
import "./drop.js";
import "./filters.js";
import "./query.js";
import { view } from "./address.js";
import { begin } from "./grid.js";
import { likeBy } from "./likes.js";
import { prepareMoves } from "./moves.js";
import { isSelecting, prepareSelection, takesClick } from "./selection.js";
import { close, isOpen, openImage, preview } from "./viewer.js";
import { revisit } from "./visits.js";

const tools = document.getElementById("tile-tools");

function prepare(tile) {
  prepareMoves(tile);
  prepareSelection(tile);
}

/** Give a tile its tools once they are wanted: for all tiles they would cost more than the images. */
function equip(event) {
  const tile = event.target.closest?.("#grid > .tile");
  if (tile && !tile.querySelector(".tile-tools")) tile.append(tools.content.cloneNode(true));
}

document.addEventListener("pointerover", equip);
document.addEventListener("focusin", equip);

function start() {
  const grid = document.getElementById("grid");
  if (!grid || grid.dataset.begun) return;
  grid.dataset.begun = "";
  begin(grid, prepare);
  grid.addEventListener("click", (event) => {
    const tile = event.target.closest(".tile");
    const link = event.target.closest(".tile > a");
    const kind = event.target.closest("[data-like]")?.dataset.like;
    if (!tile) return;
    if (kind) void likeBy(kind, tile.dataset.id);
    else if (takesClick(event, tile)) event.preventDefault();
    else if (link && !event.button) {
      event.preventDefault();
      openImage(tile.dataset.id);
    }
  });
  // The large picture is on its way before the button is released.
  grid.addEventListener("pointerdown", (event) => {
    const link = event.target.closest(".tile > a");
    if (link && event.pointerType === "mouse" && !event.button && !isSelecting()) preview(link.parentElement);
  });
  grid.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target.matches(".tile > a")) {
      event.preventDefault();
      event.target.click();
    }
  });
}

/** Say what was found to those who do not see it. */
function tell() {
  const state = view().querySelector(".state h2, .nothing strong")?.textContent;
  const n = view().querySelectorAll("#grid > .tile").length;
  const more = view().querySelector(".more") ? "More than " : "";
  document.getElementById("told").textContent = state ?? `${more}${n} image${n === 1 ? "" : "s"}`;
}

history.scrollRestoration = "manual";
history.replaceState({ view: view().dataset.url }, "");
document.addEventListener("view:shown", start);
document.addEventListener("view:shown", tell);
addEventListener("popstate", () => {
  const image = location.pathname.match(/^\/image\/(-?\d+)$/);
  if (image) {
    openImage(image[1], { push: false });
    return;
  }
  if (isOpen()) close({ back: false });
  revisit(location.pathname + location.search);
});
start();
