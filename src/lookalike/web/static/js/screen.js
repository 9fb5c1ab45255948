// Screen: images are dropped, pasted or chosen; the threshold moves without asking the server.
import { toast } from "./toasts.js";

// A copy of a stored image may have a similarity of 0.9999999.
const ROUNDING = 1e-5;
const view = document.getElementById("screen");

function send(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
  const input = document.getElementById("screen-files");
  if (!input) return;
  if (!images.length) {
    toast("That is no image", { failed: true });
    return;
  }
  const chosen = new DataTransfer();
  for (const file of images) chosen.items.add(file);
  input.files = chosen.files;
  input.form.requestSubmit();
}

function zone() {
  return document.getElementById("screen-drop");
}

// Before the search box, which takes images that are dropped elsewhere.
const FIRST = { capture: true };
const hasFiles = (event) => Boolean(zone() && event.dataTransfer?.types.includes("Files"));
let depth = 0;

function take(event) {
  event.preventDefault();
  event.stopImmediatePropagation();
}

addEventListener("dragenter", (event) => {
  if (!hasFiles(event)) return;
  take(event);
  depth += 1;
  zone().classList.add("is-over");
}, FIRST);
addEventListener("dragover", (event) => {
  if (hasFiles(event)) take(event);
}, FIRST);
addEventListener("dragleave", (event) => {
  if (!hasFiles(event)) return;
  take(event);
  depth = Math.max(0, depth - 1);
  if (!depth) zone().classList.remove("is-over");
}, FIRST);
addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  take(event);
  depth = 0;
  zone().classList.remove("is-over");
  send(event.dataTransfer.files);
}, FIRST);
addEventListener("paste", (event) => {
  const files = event.clipboardData?.files ?? [];
  if (!files.length || !zone()) return;
  take(event);
  send(files);
}, FIRST);

view?.addEventListener("change", (event) => {
  if (event.target.id === "screen-files" && event.target.files.length) event.target.form.requestSubmit();
  if (event.target.id === "least") keepInUrl(event.target.value);
});
view?.addEventListener("input", (event) => {
  if (event.target.id === "least") judge(Number(event.target.value));
});

// The URL holds what is shown: reload, back and bookmarks work.
document.addEventListener("htmx:afterSwap", (event) => {
  const url = document.getElementById("screen-form")?.dataset.url;
  if (event.detail.target === view && url && url !== location.pathname + location.search) {
    history.pushState(null, "", url);
  }
});
addEventListener("popstate", () => location.reload());

function keepInUrl(value) {
  const url = new URL(location.href);
  url.searchParams.set("min", value);
  history.replaceState(history.state, "", url);
}

/** Show which images match from a similarity on. */
function judge(least) {
  if (!Number.isFinite(least)) return;
  document.getElementById("least-shown").textContent = least.toFixed(2);
  const lowest = least - ROUNDING;
  let matching = 0;
  const verdicts = [...document.querySelectorAll(".verdict")];
  for (const verdict of verdicts) {
    const isMatch = verdict.dataset.best !== undefined && Number(verdict.dataset.best) >= lowest;
    verdict.classList.toggle("is-match", isMatch);
    matching += isMatch ? 1 : 0;
    for (const near of verdict.querySelectorAll("[data-similarity]")) {
      near.classList.toggle("is-below", Number(near.dataset.similarity) < lowest);
    }
  }
  const summary = document.getElementById("verdict");
  if (summary) summary.textContent = sentence(matching, verdicts.length);
}

function sentence(matching, all) {
  const every = all === 1 ? "The image" : all === 2 ? "Both images" : `All ${all} images`;
  if (!matching) return `${every} ${all === 1 ? "is" : "are"} clean`;
  if (matching === all) return `${every} ${all === 1 ? "matches" : "match"}`;
  return `${matching} of ${all} images ${matching === 1 ? "matches" : "match"}`;
}
