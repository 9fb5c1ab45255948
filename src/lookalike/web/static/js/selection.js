// Several images at once: by their checks, by Shift from one to another, by a long press, by x.
import { tiles } from "./grid.js";
import { onKey } from "./keys.js";
import { focused } from "./moves.js";

const PRESS_MS = 450;
const chosen = new Set();
let from = null;

const bar = document.getElementById("selection");
const label = document.getElementById("selected");

/** The ids of the selected images, in the order of the grid. */
export function selected() {
  const shown = tiles().map((tile) => tile.dataset.id).filter((id) => chosen.has(id));
  return [...shown, ...[...chosen].filter((id) => !shown.includes(id))];
}

export function isSelecting() {
  return chosen.size > 0;
}

function mark(tile) {
  const isChosen = chosen.has(tile.dataset.id);
  tile.toggleAttribute("data-selected", isChosen);
  tile.querySelector(".check")?.setAttribute("aria-pressed", String(isChosen));
}

function show() {
  for (const tile of tiles()) mark(tile);
  const n = chosen.size;
  if (bar) bar.hidden = n === 0;
  if (label) label.textContent = `${n.toLocaleString("en")} selected`;
  document.body.classList.toggle("is-selecting", n > 0);
  const compare = bar?.querySelector('[data-select="compare"]');
  if (compare) compare.hidden = n !== 2;
  const distinct = document.querySelector('[data-select="distinct"]');
  if (distinct) distinct.hidden = n < 2;
}

/** Select or deselect a tile, or with `isRange` all from the last one to it. */
export function toggle(tile, isRange = false) {
  const all = tiles();
  const start = all.find((each) => each.dataset.id === from);
  if (isRange && start) {
    const [first, last] = [all.indexOf(start), all.indexOf(tile)].sort((a, b) => a - b);
    for (const each of all.slice(first, last + 1)) chosen.add(each.dataset.id);
  } else if (chosen.has(tile.dataset.id)) {
    chosen.delete(tile.dataset.id);
  } else {
    chosen.add(tile.dataset.id);
  }
  from = tile.dataset.id;
  show();
}

export function clear() {
  chosen.clear();
  from = null;
  show();
}

/** Deselect images that are no longer there. */
export function drop(ids) {
  for (const id of ids) chosen.delete(String(id));
  show();
}

function longPress(tile) {
  let timer = 0;
  let isLong = false;
  const stop = () => clearTimeout(timer);
  tile.addEventListener("pointerdown", (event) => {
    isLong = false;
    if (event.pointerType === "mouse") return;
    timer = setTimeout(() => {
      isLong = true;
      toggle(tile);
    }, PRESS_MS);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave", "pointermove"]) {
    tile.addEventListener(name, (event) => {
      if (name !== "pointermove" || Math.hypot(event.movementX, event.movementY) > 4) stop();
    });
  }
  tile.addEventListener("contextmenu", (event) => { if (isLong) event.preventDefault(); });
  tile.addEventListener("click", (event) => {
    if (!isLong) return;
    isLong = false;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
}

export function prepareSelection(tile) {
  const check = document.createElement("button");
  check.className = "check";
  check.type = "button";
  check.tabIndex = -1;
  check.setAttribute("aria-label", "Select");
  tile.append(check);
  longPress(tile);
  mark(tile);
}

/** Whether a click on a tile selects it instead of opening it. */
export function takesClick(event, tile) {
  const isCheck = event.target.closest(".check") !== null;
  if (!isCheck && !event.shiftKey && !event.ctrlKey && !event.metaKey && !isSelecting()) return false;
  toggle(tile, event.shiftKey);
  return true;
}

onKey("x", () => focused() ? toggle(focused()) : false);
onKey("Shift+x", () => focused() ? toggle(focused(), true) : false);
onKey("Ctrl+a", () => {
  for (const tile of tiles()) chosen.add(tile.dataset.id);
  show();
});
onKey("Escape", () => isSelecting() ? clear() : false);
document.addEventListener("view:shown", clear);
