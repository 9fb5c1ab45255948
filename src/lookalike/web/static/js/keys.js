// Keyboard shortcuts: one listener, and who registers last is asked first.

const handlers = new Map();

/** Whether a key is text for a field, and no shortcut. */
function isTyping(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.matches("textarea, select")) return true;
  return target.matches("input:not([type=checkbox], [type=radio], [type=range], [type=file])");
}

/**
 * Call `act(event)` when a key is pressed outside fields; it returns false to pass the key on.
 * @param {string} key As in KeyboardEvent.key, with "Shift+" or "Ctrl+" (also Cmd) before it.
 */
export function onKey(key, act) {
  if (!handlers.has(key)) handlers.set(key, []);
  handlers.get(key).unshift(act);
}

addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.altKey || event.isComposing || isTyping(event.target)) return;
  if (document.querySelector("dialog[open], :popover-open")) return;
  const { key } = event;
  const isLetter = /^[a-z]$/i.test(key);
  const isNamed = key.length > 1 && key !== "Escape";
  const shift = event.shiftKey && (isLetter || isNamed) ? "Shift+" : "";
  const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
  for (const act of handlers.get(ctrl + shift + (isLetter ? key.toLowerCase() : key)) ?? []) {
    if (act(event) !== false) {
      event.preventDefault();
      return;
    }
  }
});
