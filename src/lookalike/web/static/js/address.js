// The state of the search view, which its URL holds.

/** The element that changes between searches. */
export function view() {
  return document.getElementById("view");
}

let awaited = null;

/** Say which search has been asked for and is not shown yet; null for none. */
export function awaits(url) {
  awaited = url;
}

/** The parameters of the search that is shown, or of the one on its way: changes come on top of it. */
export function parameters() {
  const url = awaited ?? view()?.dataset.url ?? "/";
  return new URLSearchParams(url.split("?")[1] ?? "");
}

/** Only the collection: a new search begins with it. */
export function fresh() {
  const collection = parameters().get("collection");
  return new URLSearchParams(collection ? { collection } : {});
}

/** The parameters, with only filters and order kept: a new query in the same images. */
export function withoutQuery() {
  const kept = parameters();
  for (const name of ["q", "t", "min", "order"]) kept.delete(name);
  return kept;
}

export function urlOf(parameters, path = "/") {
  const query = parameters.toString();
  return query ? `${path}?${query}` : path;
}

/** A term as the URL has it. */
export function term(kind, value, weight = 1) {
  return `${weight === 1 ? "" : `${weight}*`}${kind}:${value}`;
}
