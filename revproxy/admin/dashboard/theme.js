// Runs before the first paint, so that no page is ever shown in the wrong theme.
(() => {
  try {
    const chosen = localStorage.getItem("revproxy-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch { /* storage is refused: the system's theme it is */ }
})();
