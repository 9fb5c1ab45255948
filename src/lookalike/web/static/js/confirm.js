// The question before much is removed: everything else is done at once, and can be undone.

export const MANY = 20;

const dialog = document.getElementById("confirm");
const button = dialog?.querySelector("[data-confirmed]");
let go = null;

/** Ask, with `action` on the button; `act` is what the button does. */
export function ask(question, action, act) {
  document.getElementById("confirm-text").textContent = question;
  button.textContent = action;
  go = act;
  dialog.showModal();
}

button?.addEventListener("click", () => {
  dialog.close();
  go?.();
});
