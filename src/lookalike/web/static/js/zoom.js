// Zoom and pan of one or several images together: wheel, pinch, drag, double click, buttons.

const MOST = 12;
const STEP = 1.0018;
const SWIPE = 48;

/**
 * Make stages zoom and pan, all alike.
 * @param {HTMLElement[]} stages Elements with images that fill them.
 * @param {(step: number) => void} [swiped] Called with 1 or -1 after a swipe to the left or right.
 */
export function attachZoom(stages, swiped = () => {}) {
  const at = { scale: 1, x: 0, y: 0 };
  const pointers = new Map();
  let start = null;

  function apply() {
    for (const stage of stages) {
      const { clientWidth: width, clientHeight: height } = stage;
      at.x = Math.min(0, Math.max(at.x, 1 - at.scale));
      at.y = Math.min(0, Math.max(at.y, 1 - at.scale));
      for (const image of stage.querySelectorAll("img")) {
        image.style.transform = at.scale === 1 ? "" : `translate(${at.x * width}px, ${at.y * height}px) scale(${at.scale})`;
      }
      stage.classList.toggle("is-zoomed", at.scale > 1);
      if (at.scale > 1.4) sharpen(stage);
    }
  }

  /** Show the file itself once the preview has too few pixels. */
  function sharpen(stage) {
    const image = stage.querySelector("img[data-full]");
    if (!image) return;
    const full = image.dataset.full;
    delete image.dataset.full;
    const loaded = new Image();
    loaded.onload = () => { image.src = full; };
    loaded.src = full;
  }

  /** Zoom so that the point (x, y), as shares of the stage, stays where it is. */
  function zoomTo(scale, x, y) {
    const next = Math.min(MOST, Math.max(1, scale));
    const ratio = next / at.scale;
    at.x = x - (x - at.x) * ratio;
    at.y = y - (y - at.y) * ratio;
    at.scale = next;
    apply();
  }

  function shares(stage, event) {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function flip(x = 0.5, y = 0.5) {
    if (at.scale > 1) zoomTo(1, x, y);
    else zoomTo(2.5, x, y);
  }

  function moved(stage, event) {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const box = stage.getBoundingClientRect();
    const others = [...pointers.values()].filter((each) => each !== before);
    if (others.length === 1) {
      const [other] = others;
      const distance = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
      zoomTo(at.scale * (distance(event) / Math.max(1, distance(before))), ...shares(stage, {
        clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2,
      }));
    } else if (at.scale > 1) {
      at.x += (event.clientX - before.clientX) / box.width;
      at.y += (event.clientY - before.clientY) / box.height;
      apply();
    }
    pointers.set(event.pointerId, event);
  }

  function swipe(event) {
    if (!start || event.pointerType === "mouse" || at.scale > 1) return;
    const [x, y] = [event.clientX - start.clientX, event.clientY - start.clientY];
    if (Math.abs(x) > SWIPE && Math.abs(x) > 2 * Math.abs(y)) swiped(x < 0 ? 1 : -1);
  }

  for (const stage of stages) {
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? event.deltaY * 18 : event.deltaY;
      zoomTo(at.scale * STEP ** -pixels, ...shares(stage, event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (!event.target.closest("button, a")) flip(...shares(stage, event));
    });
    stage.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button, a")) return;
      pointers.set(event.pointerId, event);
      start = pointers.size === 1 ? event : null;
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => moved(stage, event));
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => {
        if (name === "pointerup") swipe(event);
        pointers.delete(event.pointerId);
      });
    }
  }

  return {
    toggle: () => flip(),
    by: (factor) => zoomTo(at.scale * factor, 0.5, 0.5),
    reset: () => zoomTo(1, 0.5, 0.5),
  };
}
