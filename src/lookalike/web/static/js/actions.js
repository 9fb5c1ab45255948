// What is done with selected images. The server answers with a toast, which may offer Undo.
import { parameters } from "./address.js";
import { ask, MANY } from "./confirm.js";
import { onKey } from "./keys.js";
import { busy, problemOf } from "./requests.js";
import { clear, drop, isSelecting, selected } from "./selection.js";
import { toast } from "./toasts.js";
import { forget } from "./visits.js";

function address(path) {
  const collection = parameters().get("collection");
  return collection ? `${path}?${new URLSearchParams({ collection })}` : path;
}

async function post(path, body) {
  return busy(() => fetch(address(path), {
    method: "POST",
    headers: { "Content-Type": "application/json", "HX-Request": "true" },
    body: JSON.stringify(body),
  }));
}

/** Hide or show images in the grid. */
function hide(ids, isHidden) {
  const wanted = new Set(ids.map(String));
  for (const tile of document.querySelectorAll("#grid > .tile")) {
    if (wanted.has(tile.dataset.id)) tile.hidden = isHidden;
  }
  document.getElementById("grid")?.dispatchEvent(new Event("grid:changed"));
  forget();
}

document.addEventListener("images-removed", (event) => {
  hide(event.detail.ids, true);
  drop(event.detail.ids);
});

// What an undo brings back, by the URL of its button.
const restores = new Map();

document.addEventListener("htmx:afterRequest", (event) => {
  const path = event.detail.requestConfig?.path;
  if (!event.detail.successful || !restores.has(path)) return;
  hide(restores.get(path), false);
  restores.delete(path);
});

/** Ask the server to do something with images; shows its toast. Returns its events, null if it failed. */
export async function act(name, ids, more = {}) {
  let answer;
  try {
    answer = await post(`/selection/${name}`, { ids: ids.map(Number), ...more });
  } catch {
    toast("The server does not answer. Is lookalike still running?", { failed: true });
    return null;
  }
  if (!answer.ok) {
    toast(await problemOf(answer), { failed: true });
    return null;
  }
  const box = document.getElementById("toasts");
  box.insertAdjacentHTML("beforeend", await answer.text());
  const undo = box.lastElementChild.querySelector(".undo");
  if (undo) restores.set(undo.getAttribute("hx-post"), ids);
  window.htmx.process(box.lastElementChild);
  const events = JSON.parse(answer.headers.get("HX-Trigger") ?? "{}");
  for (const [event, detail] of Object.entries(events)) {
    document.dispatchEvent(new CustomEvent(event, { detail, bubbles: true }));
  }
  return events;
}

/** Remove images: they go at once, and those that the server keeps come back. */
export async function remove(name, ids) {
  hide(ids, true);
  drop(ids);
  const events = await act(name, ids);
  const gone = new Set((events?.["images-removed"]?.ids ?? []).map(String));
  const stay = ids.filter((id) => !gone.has(String(id)));
  if (stay.length) hide(stay, false);
}

const questions = {
  remove: (n) => [`Remove ${n} images from the collection? Their files stay, and you can undo it.`, "Remove"],
  trash: (n) => [`Move ${n} images to the trash? You can undo it.`, "Move to the trash"],
};

/** Remove the selected images; if they are many, ask first. */
function removeSelected(name) {
  const ids = selected();
  if (ids.length > MANY) ask(...questions[name](ids.length), () => void remove(name, ids));
  else void remove(name, ids);
}

async function save(format, ids) {
  const answer = await post("/selection/export", { ids: ids.map(Number), format });
  if (!answer.ok) {
    toast(await problemOf(answer), { failed: true });
    return;
  }
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = `images.${format === "paths" ? "txt" : format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Ask for tags, and set them. */
export function askTags(ids) {
  const dialog = document.getElementById("tag");
  if (!dialog) return;
  dialog.dataset.ids = ids.join(",");
  dialog.querySelector("form").reset();
  dialog.showModal();
  const known = { target: dialog.querySelector("datalist"), swap: "innerHTML" };
  void window.htmx.ajax("GET", address("/parts/tags"), known);
}

document.getElementById("tag-form")?.addEventListener("submit", (event) => {
  const form = new FormData(event.target);
  const names = (field) => form.get(field).split(",").map((name) => name.trim()).filter(Boolean);
  const ids = document.getElementById("tag").dataset.ids.split(",");
  const [add, less] = [names("add"), names("remove")];
  if (add.length || less.length) void act("tag", ids, { add, remove: less }).then((done) => done && clear());
});

const does = {
  none: () => clear(),
  tag: () => askTags(selected()),
  remove: () => removeSelected("remove"),
  trash: () => removeSelected("trash"),
  distinct: () => act("distinct", selected()).then((done) => done && clear()),
  compare: () => {
    const [a, b] = selected();
    const shown = parameters().get("collection");
    location.assign(`/compare?${new URLSearchParams({ a, b, ...(shown ? { collection: shown } : {}) })}`);
  },
};

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-select], [data-export]");
  if (!button) return;
  button.closest(".menu")?.hidePopover();
  if (button.dataset.export) void save(button.dataset.export, selected());
  else if (does[button.dataset.select]) void does[button.dataset.select]();
});

const canWrite = document.body.dataset.canWrite === "yes";
onKey("t", () => canWrite && isSelecting() ? does.tag() : false);
onKey("c", () => selected().length === 2 ? does.compare() : false);
onKey("e", () => isSelecting() ? document.getElementById("export").click() : false);
onKey("Delete", () => canWrite && isSelecting() ? void does.trash() : false);

