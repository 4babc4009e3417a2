// Keeps a page up to date. Each element with data-part is replaced by what the server has at that address whenever its stamp, the
// one named by data-stamp, is another than the one it was made with. Nothing else is done here: the server makes all HTML.
"use strict";

// Parts.

const stamps = {};

function replace(part, html) {
  // What is focused and scrolled in the part stays so.
  const active = part.contains(document.activeElement) ? document.activeElement : null;
  const name = active?.id || active?.getAttribute("aria-label");
  const scrolled = [...part.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
  part.innerHTML = html;
  part.querySelectorAll(".scroll").forEach((box, place) => {
    [box.scrollLeft, box.scrollTop] = scrolled[place] ?? [0, 0];
  });
  if (name) {
    const again = [...part.querySelectorAll("[id], [aria-label]")].find((it) => (it.id || it.getAttribute("aria-label")) === name);
    again?.focus({ preventScroll: true });
  }
}

async function load(part) {
  if (part.isLoading) {
    part.isDue = true;
    return;
  }
  part.isLoading = true;
  const address = part.dataset.part;
  const seen = stamps[part.dataset.stamp];
  try {
    const response = await fetch(address, { headers: { accept: "text/html" } });
    if (response.ok) {
      const html = await response.text();
      // Something else may have been asked for meanwhile.
      if (address === part.dataset.part) {
        replace(part, html);
        if (seen !== undefined) part.dataset.seen = seen;
      }
    }
  } catch {
    // The server is gone: the events say so.
  }
  part.loadedAt = Date.now();
  part.isLoading = false;
  if (part.isDue || address !== part.dataset.part) {
    part.isDue = false;
    load(part);
  }
}

function refresh(part) {
  const stamp = stamps[part.dataset.stamp];
  if (stamp === undefined || String(stamp) === part.dataset.seen || part.timer) return;
  const wait = Number(part.dataset.every) - (Date.now() - (part.loadedAt ?? 0));
  if (wait <= 0) {
    load(part);
  } else {
    part.timer = setTimeout(() => {
      part.timer = null;
      refresh(part);
    }, wait);
  }
}

// Events.

const connection = document.getElementById("connection");

function tell(state, text) {
  if (connection.dataset.state === state) return;
  connection.dataset.state = state;
  connection.textContent = text;
}

let source;

function listen() {
  source?.close();
  // A page that nobody sees listens to nothing: a browser allows six connections to a server, and the search needs the processor.
  if (document.hidden) return;
  const events = new EventSource("/events");
  source = events;
  events.addEventListener("open", () => tell("live", "Live"));
  events.addEventListener("stamps", (event) => {
    Object.assign(stamps, JSON.parse(event.data));
    document.querySelectorAll("[data-part]").forEach(refresh);
  });
  events.addEventListener("error", () => {
    tell("lost", "Connection lost; trying again");
    // A browser tries again by itself, but not after every kind of error.
    if (events === source && events.readyState === EventSource.CLOSED) setTimeout(listen, 3000);
  });
}

document.addEventListener("visibilitychange", listen);

// Tables: links that sort and turn pages, and the form that filters, change the address of their part.

function show(part, query) {
  const [address] = part.dataset.part.split("?");
  part.dataset.part = `${address}?${query}`;
  history.replaceState(null, "", `?${query}`);
  load(part);
}

function filter(form) {
  const part = document.getElementById(form.dataset.filters);
  const query = new URLSearchParams(new FormData(form));
  const before = new URLSearchParams(part.dataset.part.split("?")[1]);
  for (const name of ["sort", "order"]) if (before.has(name)) query.set(name, before.get(name));
  show(part, query);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-for]");
  if (!link || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  show(document.getElementById(link.dataset.for), link.search.slice(1));
});

for (const form of document.querySelectorAll("form[data-filters]")) {
  let timer;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter(form);
  });
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 200, form);
  });
}

// Light and dark.

const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : system.matches;
}

function nameTheme() {
  button.textContent = isDark() ? "Light" : "Dark";
  button.setAttribute("aria-label", `Show in ${isDark() ? "light" : "dark"} colours`);
}

button.addEventListener("click", () => {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("metaqnn-theme", theme);
  } catch {
    // Storage is off: it holds for this page.
  }
  nameTheme();
});
system.addEventListener("change", nameTheme);
button.hidden = false;
nameTheme();
listen();
