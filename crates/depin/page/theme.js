// Runs before the first paint, so that a chosen theme does not flash the other one. No module: modules wait for the document.
"use strict";
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset["theme"] = chosen;
} catch {
  // Storage may be forbidden; then the system's preference decides.
}
