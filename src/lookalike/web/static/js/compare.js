// Two images side by side, with one zoom for both.
import { onKey } from "./keys.js";
import { attachZoom } from "./zoom.js";

const STEP = 1.5;
const zoom = attachZoom([...document.querySelectorAll(".stage")]);
const does = { in: () => zoom.by(STEP), out: () => zoom.by(1 / STEP), reset: () => zoom.reset() };

document.addEventListener("click", (event) => {
  does[event.target.closest?.("[data-zoom]")?.dataset.zoom]?.();
  const back = event.target.closest?.("[data-back]");
  if (back && document.referrer.startsWith(location.origin)) {
    event.preventDefault();
    history.back();
  }
});
for (const [key, name] of Object.entries({ "+": "in", "=": "in", "-": "out", 0: "reset" })) onKey(key, does[name]);
onKey("z", () => zoom.toggle());
onKey("Escape", () => document.querySelector("[data-back]").click());
