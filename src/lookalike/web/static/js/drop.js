// Images as a query: dropped, pasted or chosen.
import { fresh, parameters, term, urlOf, view } from "./address.js";
import { busy, problemOf } from "./requests.js";
import { toast } from "./toasts.js";
import { visit } from "./visits.js";

const overlay = document.getElementById("drop-overlay");
const MOST = 16;

/** Show images in the query before they are uploaded. */
function announce(files) {
  const chips = document.createElement("div");
  chips.className = "chips";
  for (const file of files) {
    const chip = document.createElement("div");
    chip.className = "chip is-waiting";
    const image = document.createElement("img");
    image.alt = "";
    image.src = URL.createObjectURL(file);
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
    const label = document.createElement("span");
    label.className = "chip-label soft";
    label.textContent = "Looking …";
    chip.append(image, label);
    chips.append(chip);
  }
  const shown = view().querySelector(".chips");
  if (shown) shown.append(...chips.children);
  else view().prepend(chips);
  return chips;
}

async function upload(files) {
  const form = new FormData();
  for (const file of files) form.append("image", file, file.name || "image");
  const answer = await fetch("/query-images", { method: "POST", body: form });
  if (!answer.ok) throw new Error(await problemOf(answer));
  return (await answer.json()).images;
}

/** Search by images: by their mean, or as further terms of the query that is shown. */
export async function searchBy(files, { add = false } = {}) {
  const images = [...files].slice(0, MOST);
  if (!images.length) return;
  const chips = announce(images);
  try {
    const kept = await busy(() => upload(images));
    const next = add ? parameters() : fresh();
    next.delete("min");
    for (const { hash } of kept) next.append("t", term("image", hash));
    await visit(urlOf(next));
  } catch (error) {
    chips.remove();
    for (const chip of view().querySelectorAll(".chip.is-waiting")) chip.remove();
    toast(error instanceof TypeError ? "The server does not answer. Is lookalike still running?" : error.message, { failed: true });
  }
}

function searchByUrl(url, { add = false } = {}) {
  const next = add ? parameters() : fresh();
  next.append("t", term("url", url));
  return visit(urlOf(next));
}

document.getElementById("pick")?.addEventListener("change", (event) => {
  void searchBy([...event.target.files]);
  event.target.value = "";
});

addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
  if (!files.length) return;
  event.preventDefault();
  void searchBy(files);
});

let depth = 0;

function hasImages(event) {
  const types = event.dataTransfer?.types ?? [];
  return types.includes("Files") || types.includes("text/uri-list");
}

function close() {
  depth = 0;
  overlay.hidden = true;
  for (const each of overlay.querySelectorAll(".is-over")) each.classList.remove("is-over");
}

let isOwn = false;
addEventListener("dragstart", () => { isOwn = true; });
addEventListener("dragend", () => { isOwn = false; });

addEventListener("dragenter", (event) => {
  if (isOwn || !hasImages(event)) return;
  event.preventDefault();
  depth += 1;
  overlay.hidden = false;
  overlay.querySelector('[data-drop="add"]').hidden = view().dataset.query !== "yes";
});
addEventListener("dragleave", () => {
  depth -= 1;
  if (depth <= 0) close();
});
addEventListener("dragover", (event) => {
  if (overlay.hidden) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
  for (const each of overlay.querySelectorAll("[data-drop]")) each.classList.toggle("is-over", each === event.target);
});
addEventListener("drop", (event) => {
  if (isOwn || !hasImages(event)) return;
  event.preventDefault();
  const add = event.target.closest?.("[data-drop]")?.dataset.drop === "add";
  close();
  const files = [...event.dataTransfer.files];
  const url = event.dataTransfer.getData("text/uri-list").split("\n")[0].trim();
  if (files.length) void searchBy(files, { add });
  else if (/^https?:/.test(url)) void searchByUrl(url, { add });
});
