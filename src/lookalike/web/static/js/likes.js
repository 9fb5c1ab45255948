// "Find similar", "more like this", "less like this": a result becomes a term of the query.
import { fresh, parameters, term, urlOf } from "./address.js";
import { onKey } from "./keys.js";
import { focused } from "./moves.js";
import { selected } from "./selection.js";
import { visit } from "./visits.js";

const LESS = -0.5;

/** Search for images that look like these, of the same weight. */
export function similar(ids) {
  const next = fresh();
  for (const id of ids) next.append("t", term("id", id));
  return visit(urlOf(next));
}

/** Add an image to the query, with a weight. */
export function like(id, weight) {
  const next = parameters();
  next.delete("min");
  const others = next.getAll("t").filter((each) => !each.endsWith(`id:${id}`));
  next.delete("t");
  for (const each of others) next.append("t", each);
  next.append("t", term("id", id, weight));
  return visit(urlOf(next));
}

const kinds = {
  similar: (id) => similar([id]),
  more: (id) => like(id, 1),
  less: (id) => like(id, LESS),
};

/** Do what a button of a tile says. */
export function likeBy(kind, id) {
  return kinds[kind]?.(id);
}

const onFocused = (kind) => () => {
  const tile = focused();
  if (!tile) return false;
  void likeBy(kind, tile.dataset.id);
};
onKey("s", onFocused("similar"));
onKey("+", onFocused("more"));
onKey("=", onFocused("more"));
onKey("-", onFocused("less"));

document.addEventListener("click", (event) => {
  if (event.target.closest?.('[data-select="similar"]')) void similar(selected());
});
