// The justified grid: rows that fill the width, each image with its own proportions.

const UNKNOWN = 4 / 3;
const NARROWEST = 0.45;
const WIDEST = 3.4;
const AHEAD = "1400px";

function heightFor(width) {
  if (width < 560) return 132;
  return width < 1000 ? 172 : 216;
}

function ratioOf(tile) {
  const image = tile.querySelector("img");
  const width = image?.naturalWidth || Number(image?.getAttribute("width"));
  const height = image?.naturalHeight || Number(image?.getAttribute("height"));
  const ratio = width && height ? width / height : UNKNOWN;
  return Math.min(Math.max(ratio, NARROWEST), WIDEST);
}

/**
 * Return the heights of rows: [number of images, height] each.
 * @param {number[]} ratios Width by height of the images.
 */
export function rowsOf(ratios, width, target, gap) {
  const rows = [];
  let first = 0;
  while (first < ratios.length) {
    let sum = 0;
    let n = 0;
    let height = Infinity;
    while (first + n < ratios.length && height > target) {
      const before = height;
      sum += ratios[first + n];
      n += 1;
      height = (width - gap * (n - 1)) / sum;
      // One image fewer comes nearer to the height that is wanted.
      if (height < target && n > 1 && before - target < target - height) {
        n -= 1;
        height = before;
        break;
      }
    }
    const isLast = first + n === ratios.length;
    rows.push([n, isLast ? Math.min(height, target * 1.08) : height]);
    first += n;
  }
  return rows;
}

function justify(tiles, width, gap) {
  const ratios = tiles.map(ratioOf);
  let at = 0;
  for (const [n, height] of rowsOf(ratios, width, heightFor(width), gap)) {
    for (const ratio of ratios.slice(at, at + n)) {
      const tile = tiles[at];
      tile.style.width = `${Math.floor(ratio * height * 64) / 64}px`;
      tile.style.height = `${Math.round(height)}px`;
      at += 1;
    }
  }
}

let measured = { window: 0, width: 0, gap: 0 };

/** The width of a grid and its gap. A new grid in the same window is not measured: that takes long. */
function sizesOf(grid, isNew) {
  if (!isNew || measured.window !== innerWidth) {
    const gap = parseFloat(getComputedStyle(grid).columnGap) || 0;
    measured = { window: innerWidth, width: grid.clientWidth - 0.5, gap };
  }
  return measured;
}

/** Lay out a grid: each run of images between dividers by itself. */
export function layOut(grid, { isNew = false } = {}) {
  const { width, gap } = sizesOf(grid, isNew);
  if (width <= 0) return;
  let run = [];
  for (const child of [...grid.children, null]) {
    if (child?.matches(".tile")) {
      if (!child.hidden) run.push(child);
    } else if (run.length) {
      justify(run, width, gap);
      run = [];
    }
  }
  grid.classList.add("is-justified");
}

/** Run at most once a frame. */
function eachFrame(work) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      work();
    });
  };
}

function failed(image) {
  const text = document.createElement("span");
  text.className = "no-file";
  text.textContent = image.alt;
  image.replaceWith(text);
}

/** Fetch the next page before the end is reached. */
function watchEnd(grid, added) {
  const seen = new IntersectionObserver(async (entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    const last = grid.querySelector(":scope > .more");
    if (!last) return;
    seen.disconnect();
    await window.htmx.ajax("GET", last.querySelector("a").getAttribute("href"), { target: last, swap: "outerHTML" });
    added({ isNew: true });
    const next = grid.querySelector(":scope > .more");
    if (next) seen.observe(next);
  }, { rootMargin: AHEAD });
  const last = grid.querySelector(":scope > .more");
  if (last) seen.observe(last);
  return seen;
}

/**
 * Keep a grid justified, and fetch its further pages.
 * @param {(tile: HTMLElement) => void} prepare Called for each new tile.
 */
export function begin(grid, prepare) {
  const again = eachFrame(() => layOut(grid));
  const added = ({ isNew = false } = {}) => {
    for (const tile of grid.querySelectorAll(":scope > .tile:not([data-ready])")) {
      tile.dataset.ready = "";
      prepare(tile);
    }
    layOut(grid, { isNew });
  };
  grid.addEventListener("load", (event) => {
    const image = event.target;
    if (!image.getAttribute("width")) again();
  }, true);
  grid.addEventListener("error", (event) => {
    if (event.target instanceof HTMLImageElement) {
      failed(event.target);
      again();
    }
  }, true);
  let width = 0;
  new ResizeObserver(() => {
    if (grid.clientWidth !== width) {
      width = grid.clientWidth;
      again();
    }
  }).observe(grid);
  grid.addEventListener("grid:changed", again);
  added({ isNew: true });
  // An image may have failed before this script ran.
  for (const image of grid.querySelectorAll("img")) if (image.complete && !image.naturalWidth && image.currentSrc) failed(image);
  watchEnd(grid, added);
}

/** The tiles that are shown, in order. */
export function tiles() {
  return [...document.querySelectorAll("#grid > .tile:not([hidden])")];
}
