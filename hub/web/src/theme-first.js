// Sets the theme before the first paint. The rest is in state/theme.ts.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("stepwell.theme");
  } catch {
    // Storage is blocked: the system's theme is used.
  }
  if (chosen !== "light" && chosen !== "dark") {
    chosen = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  }
  document.documentElement.dataset.theme = chosen;
})();
