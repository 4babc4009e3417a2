// Light or dark as chosen here before; runs before anything is painted. Without a choice the page follows the system.
"use strict";
try {
  const theme = localStorage.getItem("metaqnn-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is off: the system's choice holds.
}
