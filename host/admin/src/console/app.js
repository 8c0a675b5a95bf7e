// The frame: which page the address names, the keys, and the theme.
import { failed, may } from "./api.js";
import { ask, h, replace, toast } from "./dom.js";
import audit from "./pages/audit.js";
import destinations from "./pages/destinations.js";
import event from "./pages/event.js";
import events from "./pages/events.js";
import live from "./pages/live.js";
import overview from "./pages/overview.js";
import plugins from "./pages/plugins.js";
import source from "./pages/source.js";
import sources from "./pages/sources.js";

const PAGES = [
  [/^\/$/, overview, "Overview"], [/^\/live$/, live, "Live"], [/^\/events$/, events, "Events"], [/^\/events\/([^/]+)$/, event, "Event"],
  [/^\/destinations$/, destinations, "Destinations"], [/^\/sources$/, sources, "Sources"], [/^\/sources\/([^/]+)$/, source, "Source"],
  [/^\/plugins$/, plugins, "Plugins"], [/^\/audit$/, audit, "Audit"],
];
const main = document.getElementById("main");
let leaving = new AbortController();
let shown = null;
/** What the present page does with a key. */
let pageKeys = {};

async function open() {
  const [path, search = ""] = (location.hash.slice(1) || "/").split("?");
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  pageKeys = {};
  for (const link of document.querySelectorAll(".nav a")) {
    const at = link.getAttribute("href").slice(1);
    if (at === path || (at !== "/" && path.startsWith(`${at}/`))) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const found = PAGES.find(([pattern]) => pattern.test(path));
  if (!found) {
    replace(main, h("h1", { tabindex: "-1" }, "There is no such page"));
    return;
  }
  const [pattern, page, title] = found;
  document.title = `${title} · Hookwright`;
  const name = path.match(pattern)[1];
  const place = h("div.stack", {});
  const context = {
    place, signal, name: name && decodeURIComponent(name), search: new URLSearchParams(search),
    keys: (keys) => { pageKeys = keys; },
    /** Again and again while the page is open and seen. */
    every: (ms, work) => {
      const timer = setInterval(() => { if (!document.hidden) work().catch(ignore); }, ms);
      signal.addEventListener("abort", () => clearInterval(timer));
    },
  };
  try {
    await page(context);
    if (signal.aborted) return;
    replace(main, place);
  } catch (error) {
    if (signal.aborted) return;
    failed(place, error);
    replace(main, place);
  }
  main.dataset.page = path;
  if (shown !== null && shown !== path) {
    scrollTo(0, 0);
    main.querySelector("h1")?.focus();
  }
  shown = path;
}
const ignore = (error) => { if (error.name !== "AbortError") toast(error.message); };

// What a button began, and the reader left meanwhile, needs no word; anything else does.
addEventListener("unhandledrejection", (lost) => {
  lost.preventDefault();
  ignore(lost.reason);
});

const GOTO = { o: "/", l: "/live", e: "/events", d: "/destinations", s: "/sources", p: "/plugins", a: "/audit" };
let before = "";
addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey || document.getElementById("dialog").open) return;
  if (press.target.matches("input, select, textarea")) {
    if (press.key === "Escape") press.target.blur();
    return;
  }
  const key = press.key;
  if (before === "g" && GOTO[key]) location.hash = GOTO[key];
  else if (key === "?") help();
  else if (key === "/") {
    const field = document.querySelector("[data-search]");
    if (field) field.focus(); else location.hash = "/events?focus=1";
    press.preventDefault();
  } else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
  else if (key === "Enter" && press.target === document.body) document.querySelector("tr[aria-selected=true] a")?.click();
  else if (pageKeys[key]) pageKeys[key]();
  before = key;
});

/** Moves the selection in the page's list. */
function step(by) {
  const rows = [...document.querySelectorAll("main tr[data-open]")];
  if (!rows.length) return;
  const now = rows.findIndex((one) => one.getAttribute("aria-selected") === "true");
  rows[now]?.removeAttribute("aria-selected");
  const next = rows[Math.min(rows.length - 1, Math.max(0, now + by))];
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a")?.focus({ preventScroll: true });
}

function help() {
  const keys = [["/", "search"], ["j k", "next and previous row"], ["Enter", "open the row"], ["r", "replay the event that is open"],
    ["g o", "overview"], ["g l", "live"], ["g e", "events"], ["g d", "destinations"], ["g s", "sources"], ["g p", "plugins"], ["g a", "audit"], ["?", "this list"]];
  ask("Keys", (done) => [
    h("dl.facts", {}, keys.map(([key, does]) => [h("dt", {}, key.split(" ").map((one) => [h("kbd", {}, one), " "])), h("dd", {}, does)])),
    h("div.actions", {}, h("button", { type: "button", onclick: done }, "Close")),
  ]);
}
document.getElementById("keys").addEventListener("click", help);

const THEMES = { auto: "as the system", light: "light", dark: "dark" };
function theme(wanted) {
  const button = document.getElementById("theme");
  if (wanted === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = wanted;
  localStorage.setItem("theme", wanted);
  button.textContent = `Theme: ${wanted}`;
  button.setAttribute("aria-label", `Theme: ${THEMES[wanted]}`);
}
theme(localStorage.getItem("theme") in THEMES ? localStorage.getItem("theme") : "auto");
document.getElementById("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  theme(names[(names.indexOf(localStorage.getItem("theme")) + 1) % names.length]);
});

addEventListener("hashchange", open);
addEventListener("click", (click) => {
  const line = click.target.closest?.("tr[data-open]");
  if (line && !click.target.closest("a, button, input") && !String(getSelection())) line.querySelector("a").click();
});
open();
may("admin").then((yes) => { document.getElementById("nav-audit").hidden = !yes; }).catch(() => {});
