// Duplicates: which images of a group stay, by hand and by keys.
import { ask, MANY } from "./confirm.js";
import { onKey } from "./keys.js";

function boxes(group) {
  return [...group.querySelectorAll('input[name="keep"]')];
}

/** Say what the button does; at least one image stays. */
function settle(group) {
  const all = boxes(group);
  const gone = all.filter((box) => !box.checked).length;
  const button = group.querySelector("[data-trash]");
  if (!button) return;
  button.disabled = gone === 0 || gone === all.length;
  const text = gone === all.length ? "Keep at least one" : gone ? `Move ${gone} to the trash` : "All stay";
  button.querySelector("[data-trash-text]").textContent = text;
  const form = button.form;
  if (gone > MANY) form.setAttribute("hx-confirm", `Move ${gone} images to the trash? You can undo it.`);
  else form.removeAttribute("hx-confirm");
}

document.addEventListener("change", (event) => {
  const group = event.target.closest?.(".group");
  if (group && event.target.name === "keep") settle(group);
});
document.addEventListener("htmx:load", (event) => {
  for (const group of document.querySelectorAll(".group")) {
    if (event.target === group || event.target.contains(group)) settle(group);
  }
});

document.addEventListener("htmx:confirm", (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  ask(event.detail.question, "Move to the trash", () => event.detail.issueRequest(true));
});

// Keys: one group after another.
function groups() {
  return [...document.querySelectorAll(".group")];
}

function current() {
  const focused = document.activeElement?.closest(".group");
  if (focused) return focused;
  return groups().find((group) => group.getBoundingClientRect().bottom > 120);
}

function visit(group) {
  if (!group) return;
  group.focus({ preventScroll: true });
  const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  group.scrollIntoView({ block: "start", behavior: isCalm ? "auto" : "smooth" });
}

function step(by) {
  const all = groups();
  const focused = document.activeElement?.closest(".group");
  visit(focused ? all[all.indexOf(focused) + by] : current());
}

onKey("j", () => step(1));
onKey("k", () => step(-1));
onKey("Delete", () => current()?.querySelector("[data-trash]:not(:disabled)")?.click());
onKey("n", () => current()?.querySelector("[data-distinct]")?.click());
onKey("c", () => current()?.querySelector("[data-compare]")?.click());
for (let digit = 1; digit <= 9; digit += 1) {
  onKey(String(digit), () => {
    const box = boxes(current() ?? document.body)[digit - 1];
    if (!box || box.disabled) return false;
    box.click();
    return true;
  });
}
onKey("Ctrl+z", () => {
  if (document.querySelector("#toasts .undo")) return false;
  const settled = document.querySelectorAll(".settled .undo");
  if (!settled.length) return false;
  (document.activeElement?.closest(".settled")?.querySelector(".undo") ?? settled[settled.length - 1]).click();
  return true;
});

// After a decision the focus goes on to the next group; it would be lost otherwise.
document.addEventListener("htmx:beforeSwap", (event) => {
  const group = event.detail.target;
  if (!group.matches?.(".group") || !group.contains(document.activeElement)) return;
  const all = groups();
  const next = all[all.indexOf(group) + 1];
  const id = group.id;
  document.addEventListener("htmx:afterSettle", () => (next ?? document.getElementById(id))?.focus({ preventScroll: true }), { once: true });
});

// Jobs that change the whole page.
document.addEventListener("htmx:sseClose", (event) => {
  if (event.detail.type === "message" && document.querySelector("[data-reload-at-end]")) location.reload();
});
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful && event.target.matches?.("[data-reload]")) location.reload();
});
