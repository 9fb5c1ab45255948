// What every page has.
import "./toasts.js";
import "./dialogs.js";
import "./copy.js";
import "./requests.js";
import { onKey } from "./keys.js";

onKey("?", () => document.getElementById("help")?.showModal());
onKey("/", () => {
  const box = document.getElementById("words");
  box?.focus();
  box?.select();
});
