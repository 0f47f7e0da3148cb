// Runs before the first paint, so that the stored theme does not flash. The switch is in main.js.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("sluice-theme");
  } catch {
    // Storage may be disabled: then the system's theme is used.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
