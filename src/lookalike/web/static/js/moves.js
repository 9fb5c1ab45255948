// Arrow keys move between the tiles of the grid; one tile is in the order of Tab.
import { tiles } from "./grid.js";
import { onKey } from "./keys.js";

/** The tile with the focus, if any. */
export function focused() {
  return document.activeElement?.closest?.("#grid > .tile") ?? null;
}

/** Make a tile the one that Tab reaches. */
function mark(tile) {
  for (const link of document.querySelectorAll('#grid > .tile > a:not([tabindex="-1"])')) link.tabIndex = -1;
  tile.querySelector("a").tabIndex = 0;
}

/** Give a tile the focus. */
export function focusTile(tile) {
  if (!tile) return;
  mark(tile);
  tile.querySelector("a").focus({ preventScroll: true });
  tile.scrollIntoView({ block: "nearest" });
}

export function prepareMoves(tile) {
  tile.querySelector("a").tabIndex = tile.previousElementSibling === null ? 0 : -1;
}

document.addEventListener("focusin", (event) => {
  const tile = event.target.closest?.("#grid > .tile");
  if (tile) mark(tile);
});

/** The tile of the next row above or below that is nearest. */
function beside(tile, step) {
  const all = tiles();
  const top = (each) => each.offsetTop;
  const middle = tile.offsetLeft + tile.offsetWidth / 2;
  const others = all.filter((each) => (top(each) - top(tile)) * step > 4);
  if (!others.length) return null;
  const row = step > 0 ? Math.min(...others.map(top)) : Math.max(...others.map(top));
  const distance = (each) => Math.abs(each.offsetLeft + each.offsetWidth / 2 - middle);
  return others
    .filter((each) => Math.abs(top(each) - row) < 5)
    .reduce((best, each) => (distance(each) < distance(best) ? each : best));
}

function move(find) {
  return () => {
    const tile = focused();
    // Elsewhere the keys lead into the grid, but those of a slider are its own.
    if (!tile && document.activeElement?.matches("input, #viewer *")) return false;
    const next = tile ? find(tile, tiles()) : document.querySelector('#grid > .tile:not([hidden]):has(> a[tabindex="0"])') ?? tiles()[0];
    if (next) focusTile(next);
    return Boolean(next || tile);
  };
}

onKey("ArrowRight", move((tile, all) => all[all.indexOf(tile) + 1]));
onKey("ArrowLeft", move((tile, all) => all[all.indexOf(tile) - 1]));
onKey("ArrowDown", move((tile) => beside(tile, 1)));
onKey("ArrowUp", move((tile) => beside(tile, -1)));
onKey("Home", move((tile, all) => all[0]));
onKey("End", move((tile, all) => all.at(-1)));
