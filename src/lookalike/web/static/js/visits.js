// Go from one search to another: only the view is fetched, and going back is instant.
import { awaits, view } from "./address.js";
import { busy } from "./requests.js";
import { toast } from "./toasts.js";

const KEPT = 6;
const kept = new Map();
let asking = null;

/** Remember a view with its place, for going back. */
function keep() {
  const shown = view();
  if (!shown) return;
  kept.delete(shown.dataset.url);
  kept.set(shown.dataset.url, { shown, top: scrollY });
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
}

/** Forget the views that are kept: images were removed or changed. */
export function forget() {
  kept.clear();
}

function put(next, top) {
  keep();
  view().replaceWith(next);
  document.dispatchEvent(new CustomEvent("view:shown", { detail: { view: next } }));
  scrollTo({ top, behavior: "instant" });
}

async function fetched(url) {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const answer = await fetch(url, { headers: { "HX-Request": "true", Accept: "text/html" }, signal });
  const box = document.createElement("template");
  box.innerHTML = await answer.text();
  return box.content.getElementById("view");
}

/**
 * Show a search.
 * @param {string} url Of the search view.
 * @param {{push?: boolean, stay?: boolean}} options push: a new entry of the history; stay: keep the
 *   scroll position.
 */
export async function visit(url, { push = true, stay = false } = {}) {
  awaits(url);
  try {
    const next = await busy(() => fetched(url));
    awaits(null);
    if (!next) {
      location.assign(url);
      return;
    }
    const shown = next.dataset.url;
    if (push && shown !== view()?.dataset.url) history.pushState({ view: shown }, "", shown);
    else history.replaceState({ view: shown }, "", shown);
    window.htmx?.process(next);
    put(next, stay ? scrollY : 0);
    document.title = title();
  } catch (error) {
    if (error.name === "AbortError") return;
    awaits(null);
    toast("The server does not answer. Is lookalike still running?", { failed: true });
  }
}

function title() {
  const words = new URL(location.href).searchParams.get("q");
  return words ? `${words} · lookalike` : "lookalike";
}

/** Show the search of a URL after the history moved: kept if possible. */
export function revisit(url) {
  if (view()?.dataset.url === url) return;
  const before = kept.get(url);
  if (before) {
    asking?.abort();
    awaits(null);
    put(before.shown, before.top);
  } else {
    void visit(url, { push: false });
  }
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-visit]") : null;
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  void visit(link.getAttribute("href"));
});
