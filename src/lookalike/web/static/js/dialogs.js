// Dialogs and menus: <button data-dialog="ID"> opens, [data-close] closes, [popovertarget] menus
// stand below their button.

const GAP = 6;
const EDGE = 8;

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const opener = target?.closest("[data-dialog]");
  if (opener) document.getElementById(opener.dataset.dialog)?.showModal();
  if (target?.closest("[data-help]")) document.getElementById("help")?.showModal();
  if (target?.closest("[data-close]")) target.closest("dialog")?.close();
  if (target instanceof HTMLDialogElement) {
    const { left, right, top, bottom } = target.getBoundingClientRect();
    const { clientX: x, clientY: y } = event;
    if (x < left || x > right || y < top || y > bottom) target.close();
  }
});

function place(menu, button) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.min(Math.max(EDGE, at.left), innerWidth - width - EDGE);
  const below = at.bottom + GAP;
  const isBelow = below + height <= innerHeight - EDGE || at.top < height;
  menu.style.left = `${left}px`;
  menu.style.top = `${isBelow ? below : at.top - height - GAP}px`;
}

document.addEventListener("toggle", (event) => {
  const menu = event.target;
  if (!(menu instanceof HTMLElement) || !menu.matches(".menu")) return;
  const button = document.querySelector(`[popovertarget="${CSS.escape(menu.id)}"]`);
  if (!button) return;
  const isOpen = event.newState === "open";
  button.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) return;
  place(menu, button);
  const sizes = new ResizeObserver(() => place(menu, button));
  sizes.observe(menu);
  menu.addEventListener("toggle", () => sizes.disconnect(), { once: true });
  menu.querySelector("input, button, a")?.focus({ preventScroll: true });
}, true);

// Arrows move in menus.
document.addEventListener("keydown", (event) => {
  const menu = event.target instanceof Element ? event.target.closest(".menu") : null;
  if (!menu || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  const items = [...menu.querySelectorAll("input, button, a")].filter((each) => each.offsetParent);
  const step = event.key === "ArrowDown" ? 1 : -1;
  const next = items[items.indexOf(document.activeElement) + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
});
