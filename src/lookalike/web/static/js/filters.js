// Filters: a menu for each, filled when it is opened, so that nothing is counted in vain.
import { parameters, urlOf, view } from "./address.js";
import { load } from "./requests.js";
import { visit } from "./visits.js";

const menu = document.getElementById("filter-menu");
const GAP = 6;
const EDGE = 8;
let button = null;

const SKELETON = '<div class="wait"><div class="skeleton"></div><div class="skeleton"></div><div class="skeleton"></div></div>';

function place() {
  const at = button.getBoundingClientRect();
  menu.style.left = `${Math.max(EDGE, Math.min(at.left, innerWidth - menu.offsetWidth - EDGE))}px`;
  menu.style.top = `${at.bottom + GAP}px`;
}

async function fill(name) {
  const asked = parameters();
  asked.set("name", name);
  const path = name ? "/parts/filter" : "/parts/filters";
  if (!await load(urlOf(asked, path), menu)) {
    menu.hidePopover();
    return;
  }
  place();
  menu.querySelector("input, button")?.focus({ preventScroll: true });
}

function open(pill) {
  button = pill;
  button.setAttribute("aria-expanded", "true");
  menu.innerHTML = SKELETON;
  menu.showPopover();
  place();
  void fill(pill.dataset.filter);
}

/** The parameter of a filter. */
function parameter(name) {
  return name === "folder" || name === "kind" ? name : `f.${name}`;
}

async function apply(name) {
  const next = parameters();
  if (name === "date") {
    for (const field of menu.querySelectorAll("input[type=date]")) {
      if (field.value) next.set(field.name, field.value);
      else next.delete(field.name);
    }
  } else {
    next.delete(parameter(name));
    for (const field of menu.querySelectorAll("input[type=checkbox]:checked")) next.append(parameter(name), field.value);
    const [least, most] = ["least", "most"].map((each) => menu.querySelector(`[name=${each}]`)?.value ?? "");
    if (least || most) next.append(parameter(name), `${least}..${most}`);
  }
  await visit(urlOf(next));
  button = view().querySelector(`[data-filter="${CSS.escape(name)}"]`) ?? button;
}

document.addEventListener("click", (event) => {
  const pill = event.target.closest?.("[data-filter]");
  if (!pill) return;
  if (menu.contains(pill)) {
    menu.innerHTML = SKELETON;
    void fill(pill.dataset.filter);
  } else {
    open(pill);
  }
});

menu?.addEventListener("change", (event) => {
  if (event.target.matches("[data-find]")) return;
  void apply(menu.querySelector("[data-name]").dataset.name);
});
menu?.addEventListener("input", (event) => {
  if (!event.target.matches("[data-find]")) return;
  const text = event.target.value.toLowerCase();
  for (const item of menu.querySelectorAll(".item")) item.hidden = !item.textContent.toLowerCase().includes(text);
});
menu?.addEventListener("toggle", (event) => {
  if (event.newState === "closed" && button) {
    button.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement) || document.activeElement === document.body) button.focus();
  }
});

// The SQL that a search runs.
document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-sql]");
  if (!opener) return;
  const body = document.getElementById("sql-body");
  body.innerHTML = SKELETON;
  document.getElementById("sql").showModal();
  void load(opener.dataset.sql, body).then((isThere) => isThere || document.getElementById("sql").close());
});
