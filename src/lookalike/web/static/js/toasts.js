// Toasts: shown for a while, longer with Undo, and not while the pointer or the focus is on them.

const SHOWN_MS = 5000;
const SHOWN_WITH_UNDO_MS = 15000;
const LEAVING_MS = 220;

const box = document.getElementById("toasts");

/** What can be undone although its toast has gone: the URLs, the latest last. */
const undoable = [];

function keepUndo(element) {
  const url = element.querySelector(".undo")?.getAttribute("hx-post");
  if (url) undoable.push(url);
}

function leave(element) {
  if (!element.isConnected) return;
  keepUndo(element);
  element.classList.add("is-leaving");
  setTimeout(() => element.remove(), LEAVING_MS);
}

function begin(element) {
  const hasUndo = element.querySelector(".undo") !== null;
  let timer = 0;
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => leave(element), hasUndo ? SHOWN_WITH_UNDO_MS : SHOWN_MS);
  };
  for (const name of ["pointerenter", "focusin"]) element.addEventListener(name, () => clearTimeout(timer));
  for (const name of ["pointerleave", "focusout"]) element.addEventListener(name, wait);
  element.querySelector("[data-dismiss]")?.addEventListener("click", () => leave(element));
  wait();
}

if (box) {
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) if (node instanceof HTMLElement && node.matches(".toast")) begin(node);
    }
    while (box.children.length > 3) {
      keepUndo(box.firstElementChild);
      box.firstElementChild.remove();
    }
  }).observe(box, { childList: true });
}

/** Show a message of the page's own. */
export function toast(message, { failed = false } = {}) {
  const element = document.createElement("div");
  element.className = failed ? "toast failed" : "toast";
  if (failed) element.setAttribute("role", "alert");
  for (const same of box?.querySelectorAll(".toast.failed") ?? []) {
    if (same.querySelector("span")?.textContent === message) same.remove();
  }
  const text = document.createElement("span");
  text.className = "grow";
  text.textContent = message;
  const close = document.createElement("button");
  close.className = "button icon-only small";
  close.type = "button";
  close.dataset.dismiss = "";
  close.setAttribute("aria-label", "Dismiss");
  close.innerHTML = '<svg class="icon small" aria-hidden="true"><use href="#i-x"/></svg>';
  element.append(text, close);
  box?.append(element);
  return element;
}

// The key for Undo: the latest that can still be undone.
addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z" && !event.target.closest?.("input, textarea")) {
    const buttons = box?.querySelectorAll(".toast:not(.is-leaving) .undo") ?? [];
    const gone = buttons.length ? undefined : undoable.pop();
    if (!buttons.length && !gone) return;
    event.preventDefault();
    if (gone) void window.htmx.ajax("POST", gone, { target: box, swap: "beforeend" });
    else buttons[buttons.length - 1].click();
  }
});
