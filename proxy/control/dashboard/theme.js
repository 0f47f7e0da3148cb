// Runs before the first paint, so that a remembered theme never flashes. The switch itself is in main.js.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("sluice-theme");
  } catch {
    // Storage may be forbidden: then the system decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
