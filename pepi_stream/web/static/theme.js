// Sets the chosen theme before the first paint: a classic script in <head>, because modules run too late.
(() => {
  const KEY = "pepi-theme";
  const root = document.documentElement;
  let chosen = null;
  try {
    chosen = localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden; the system's theme is a good answer then.
  }
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
})();
