// The query: the box for words, the weights of the chips, the least similarity, the order.
import { fresh, parameters, term, urlOf, view } from "./address.js";
import { visit } from "./visits.js";

const box = document.getElementById("words");

function isUrl(text) {
  return /^https?:\/\/\S+$/i.test(text);
}

document.getElementById("searchbox")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const words = box.value.trim();
  const next = words || parameters().has("t") ? parameters() : fresh();
  for (const name of ["q", "min", "order"]) next.delete(name);
  if (isUrl(words)) {
    next.append("t", term("url", words));
    box.value = "";
  } else if (words) {
    next.set("q", words);
  }
  void visit(urlOf(next));
});

// On a phone the keyboard goes away once words are searched for.
document.addEventListener("view:shown", () => {
  if (box) box.value = parameters().get("q") ?? "";
  if (document.activeElement === box) box.blur();
});

function setWeight(chip, weight) {
  const next = parameters();
  const [, kind, value] = chip.dataset.term.match(/^(?:[^*]*\*)?([a-z]+):(.*)$/s);
  const text = term(kind, value, weight);
  if (kind === "text" && value === next.get("q")) {
    next.delete("q");
    next.append("t", text);
  } else {
    const terms = next.getAll("t").map((each) => (each === chip.dataset.term ? text : each));
    next.delete("t");
    for (const each of terms) next.append("t", each);
  }
  void visit(urlOf(next));
}

document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.matches(".chip-weight")) setWeight(target.closest(".chip"), Number(target.value));
  if (target.matches("#order")) {
    const next = parameters();
    if (target.value) next.set("order", target.value);
    else next.delete("order");
    void visit(urlOf(next));
  }
  if (target.matches("#least")) {
    const next = parameters();
    if (target.value === target.min) next.delete("min");
    else next.set("min", target.value);
    void visit(urlOf(next), { stay: true });
  }
});

// While the slider moves, the images that are there already are hidden at once.
document.addEventListener("input", (event) => {
  const slider = event.target;
  if (!slider.matches("#least")) return;
  const least = Number(slider.value);
  const isAll = slider.value === slider.min;
  slider.parentElement.querySelector("output").value = isAll ? "all" : `≥ ${least.toFixed(2)}`;
  for (const tile of view().querySelectorAll("#grid > .tile")) {
    tile.hidden = !isAll && Number(tile.dataset.similarity) < least;
  }
  document.getElementById("grid")?.dispatchEvent(new Event("grid:changed"));
});
