// <button data-copy="text"> copies it; data-copy-from="ID" copies the text of an element.
import { toast } from "./toasts.js";

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Without HTTPS only the old way works.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}

export async function copy(text, what = "Copied") {
  const done = await write(text);
  toast(done ? what : "The browser refused to copy", { failed: !done });
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-copy], [data-copy-from]") : null;
  if (!button) return;
  const from = button.dataset.copyFrom;
  void copy(from ? document.getElementById(from)?.textContent ?? "" : button.dataset.copy, button.dataset.copied);
});
