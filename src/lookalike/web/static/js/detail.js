// One image as a page of its own.
import { onKey } from "./keys.js";
import { attachZoom } from "./zoom.js";

const stage = document.querySelector(".stage");
const zoom = attachZoom([stage]);
const click = (selector) => () => document.querySelector(selector)?.click();

const facts = () => document.querySelector(".detail").classList.toggle("is-plain");
for (const [name, act] of Object.entries({ zoom: () => zoom.toggle(), facts })) {
  document.querySelector(`[data-viewer=${name}]`)?.addEventListener("click", act);
}
onKey("ArrowLeft", click(".stage .previous"));
onKey("ArrowRight", click(".stage .next"));
onKey("Escape", click(".stage-bar a"));
onKey("s", click("[data-viewer=similar]"));
onKey("i", facts);
onKey("z", () => zoom.toggle());
onKey("c", click("[data-copy]"));
onKey("d", click("[data-download]"));

// After a reload, the entries of the history that belong to the grid come back without a page.
addEventListener("popstate", () => location.reload());
