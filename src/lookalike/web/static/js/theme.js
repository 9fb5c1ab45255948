// Light or dark: the system's, until the switch is used. Runs before the first paint.
(function () {
  const KEY = "lookalike-theme";
  const root = document.documentElement;

  function stored() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }

  function systems() {
    return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }

  function apply(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }

  apply(stored());
  addEventListener("storage", (event) => { if (event.key === KEY) apply(event.newValue); });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-switch]")) return;
    const next = (root.dataset.theme ?? systems()) === "dark" ? "light" : "dark";
    apply(next);
    // The system's own choice is not stored: the page then follows it again.
    try {
      if (next === systems()) { localStorage.removeItem(KEY); apply(null); }
      else localStorage.setItem(KEY, next);
    } catch { /* storage is blocked: the choice holds for this page */ }
  });
})();
