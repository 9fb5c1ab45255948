// Requests of htmx: the line at the top while they run, and what went wrong as a toast.
import { toast } from "./toasts.js";

let running = 0;

function count(step) {
  running = Math.max(0, running + step);
  document.body.classList.toggle("is-loading", running > 0);
}

/** Run work with the line at the top. */
export async function busy(work) {
  count(1);
  try {
    return await work();
  } finally {
    count(-1);
  }
}

/** Show what a URL answers in an element; return whether it did. If not, a toast says why.
 *  What the element asked for before and has not come is given up. */
export async function load(url, target) {
  let isShown = false;
  target.setAttribute("hx-sync", "this:replace");
  const note = (event) => { isShown ||= event.detail.target === target; };
  document.addEventListener("htmx:afterSwap", note);
  try {
    await window.htmx.ajax("GET", url, { source: target, target, swap: "innerHTML" });
  } catch { /* the server is gone */ }
  document.removeEventListener("htmx:afterSwap", note);
  return isShown;
}

/** Return what an answer says went wrong. */
export async function problemOf(response) {
  try {
    const { detail } = await response.json();
    if (detail) return detail;
  } catch { /* no document */ }
  return `The server answered ${response.status}`;
}

function detailOf(xhr) {
  try {
    const detail = JSON.parse(xhr.responseText).detail;
    if (detail) return detail;
  } catch { /* a part of a page */ }
  const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
  return page.querySelector("[data-problem]")?.textContent.trim() || `The server answered ${xhr.status}`;
}

document.addEventListener("htmx:beforeRequest", () => count(1));
document.addEventListener("htmx:afterRequest", () => count(-1));
document.addEventListener("htmx:responseError", (event) => toast(detailOf(event.detail.xhr), { failed: true }));
document.addEventListener("htmx:sendError", () => toast("The server does not answer. Is lookalike still running?", { failed: true }));
