// One image over the grid, with its own URL; the grid below stays as it is.
import { parameters, urlOf, view } from "./address.js";
import { remove, askTags } from "./actions.js";
import { tiles } from "./grid.js";
import { onKey } from "./keys.js";
import { similar } from "./likes.js";
import { focusTile } from "./moves.js";
import { load } from "./requests.js";
import { toggle } from "./selection.js";
import { attachZoom } from "./zoom.js";

const viewer = document.getElementById("viewer");
let shown = null;
let zoom = null;

export function isOpen() {
  return viewer !== null && !viewer.hidden;
}

function tileOf(id) {
  return document.querySelector(`#grid > .tile[data-id="${CSS.escape(id)}"]`);
}

function beside(step) {
  const all = tiles();
  return all[all.indexOf(tileOf(shown)) + step] ?? null;
}

function setBackground(isInert) {
  for (const each of document.querySelectorAll("#bar, #main, .skip, #selection")) each.inert = isInert;
  document.documentElement.classList.toggle("has-viewer", isInert);
}

/** Fetch the large picture of a tile, so that it is there when it is wanted. */
export function preview(tile) {
  const small = tile?.querySelector("img")?.getAttribute("src");
  if (small) new Image().src = small.replace("/thumbnail?", "/preview?");
}

function begin() {
  const stage = viewer.querySelector(".stage");
  if (!stage) return;
  zoom = attachZoom([stage], step);
  for (const [name, step] of [["previous", -1], ["next", 1]]) {
    stage.querySelector(`.${name}`)?.setAttribute("aria-disabled", String(!beside(step)));
  }
  for (const by of [1, -1]) preview(beside(by));
}

/** Go on showing an image because the next did not come; without one, show the grid. */
function stay(id) {
  if (!id) {
    close();
    return;
  }
  shown = id;
  history.replaceState({ image: id }, "", urlOf(parameters(), `/image/${id}`));
}

/** Show an image over the grid. */
export async function openImage(id, { push = true } = {}) {
  const wasOpen = isOpen();
  const url = urlOf(parameters(), `/image/${id}`);
  shown = String(id);
  if (push) {
    if (wasOpen) history.replaceState({ image: shown }, "", url);
    else history.pushState({ image: shown }, "", url);
  }
  viewer.hidden = false;
  setBackground(true);
  const before = viewer.querySelector(".detail")?.dataset.id;
  const isThere = await load(url, viewer);
  if (shown !== String(id)) return;
  if (!isThere) {
    stay(before);
    return;
  }
  begin();
  if (!wasOpen) viewer.querySelector("[data-viewer=close]")?.focus();
}

/** Close the image. back: also go back to the URL of the grid. */
export function close({ back = true } = {}) {
  viewer.hidden = true;
  viewer.replaceChildren();
  setBackground(false);
  const tile = tileOf(shown);
  if (back) {
    if (history.state?.image) history.back();
    else history.replaceState({ view: view().dataset.url }, "", view().dataset.url);
  }
  if (tile && !tile.hidden) focusTile(tile);
  document.getElementById("grid")?.dispatchEvent(new Event("grid:changed"));
}

function step(by) {
  const next = beside(by);
  if (next) void openImage(next.dataset.id);
}

async function removeShown(name) {
  const id = shown;
  const next = beside(1) ?? beside(-1);
  if (next) await openImage(next.dataset.id);
  else close();
  await remove(name, [id]);
}

function leaveFor(act) {
  const id = shown;
  close({ back: false });
  return act(id);
}

const does = {
  close: () => close(),
  previous: () => step(-1),
  next: () => step(1),
  similar: () => leaveFor((id) => similar([id])),
  facts: () => viewer.querySelector(".detail")?.classList.toggle("is-plain"),
  select: () => leaveFor((id) => {
    history.replaceState({ view: view().dataset.url }, "", view().dataset.url);
    toggle(tileOf(id));
  }),
  tag: () => askTags([shown]),
  remove: () => removeShown("remove"),
  trash: () => removeShown("trash"),
  zoom: () => zoom?.toggle(),
};

viewer?.addEventListener("click", (event) => {
  const button = event.target.closest("[data-viewer]");
  const neighbour = event.target.closest("a[data-image]");
  if (button) {
    event.preventDefault();
    void does[button.dataset.viewer]?.();
  } else if (neighbour && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    void openImage(neighbour.dataset.image);
  }
});

const whenOpen = (act) => () => isOpen() ? act() : false;
for (const [key, name] of Object.entries({
  ArrowLeft: "previous", ArrowRight: "next", Escape: "close", s: "similar", i: "facts", x: "select", z: "zoom",
})) onKey(key, whenOpen(() => void does[name]()));
onKey("c", whenOpen(() => viewer.querySelector("[data-copy]")?.click()));
onKey("d", whenOpen(() => viewer.querySelector("[data-download]")?.click()));
onKey("t", whenOpen(() => void does.tag()));
onKey("Delete", whenOpen(() => document.body.dataset.canWrite === "yes" && void does.trash()));

// The focus stays in the viewer: what is below is inert, and the end leads to the beginning.
viewer?.addEventListener("keydown", (event) => {
  if (event.key !== "Tab") return;
  const all = [...viewer.querySelectorAll("a[href], button:not([disabled]), select, input")].filter((each) => each.offsetParent);
  const [first, last] = [all[0], all.at(-1)];
  if (event.shiftKey && document.activeElement === first) { event.preventDefault(); last.focus(); }
  else if (!event.shiftKey && document.activeElement === last) { event.preventDefault(); first.focus(); }
});
