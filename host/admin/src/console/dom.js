// Makes elements and writes values for people. Text from outside only ever enters the page as text.

/** `h("p.soft", { title }, "text", node)`; handlers are given as functions. */
export function h(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  if (attributes instanceof Node || typeof attributes !== "object" || attributes === null || Array.isArray(attributes)) {
    children.unshift(attributes);
    attributes = {};
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value" || name === "checked" || name === "disabled") made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...flat(children));
  return made;
}

const flat = (children) =>
  children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(String(child))));

export const replace = (node, ...children) => node.replaceChildren(...flat(children));

/** A row of a table; a cell may be `[content, className]`. */
export const row = (cells, attributes = {}) => h("tr", attributes, cells.map((cell) =>
  Array.isArray(cell) ? h(`td.${cell[1]}`, {}, cell[0]) : h("td", {}, cell)));

/** `kind`: how a phone shows it. */
export function table(caption, heads, rows, kind = "cards") {
  return h("div.scroll", {}, h(`table.rows.${kind}`, {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, rows)));
}

export const card = (title, ...children) => h("section.card", {}, h("h2", {}, title), ...children);
export const empty = (title, ...children) => h("div.empty", {}, h("strong", {}, title), ...children);
export const button = (text, act, kind = "") => h(`button${kind}`, { type: "button", onclick: act }, text);
export const mark = (text, mood = "") => h(`span.mark${mood ? `.${mood}` : ""}`, {}, text);

export const mood = (state) => ({
  delivered: "good", routed: "good", pass: "good", amend: "accent", deliver: "accent", dead: "bad", parked: "bad", fail: "bad",
  reject: "bad", waiting: "wait", accepted: "wait", retry: "wait", unrouted: "wait",
})[state] || "";
export const stateMark = (state) => mark(state, mood(state));

/** The head of a page: its title takes the focus when the page opens. */
export const head = (title, under, ...actions) => h("div.head", {},
  h("div", {}, h("h1", { tabindex: "-1" }, title), under ? h("p", {}, under) : null),
  actions.length ? h("div.actions", {}, actions) : null);

/** A text with a button that copies it. */
export function copyable(text, label, shown = text) {
  return h("div.copy", {}, h("code", {}, shown),
    h("button", { type: "button", "aria-label": `Copy ${label}`, onclick: () => copy(text, label) }, "Copy"));
}

export async function copy(text, label) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = h("textarea", { "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`Copied ${label}.`);
}

let fading;
export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { place.hidden = true; }, 4000);
}

/** Opens the dialog; `done` closes it. */
export function ask(title, make) {
  const dialog = document.getElementById("dialog");
  const done = () => dialog.close();
  replace(dialog, h("div.stack", {}, h("h2", { id: "dialog-title" }, title), make(done)));
  if (!dialog.open) dialog.showModal();
  return dialog;
}

/** `1 event`, `2 events`. */
export const count = (value, what) => `${number(value)} ${what}${value === 1 ? "" : "s"}`;
export const number = (value) => new Intl.NumberFormat("en").format(value);
export function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (value >= 1024 && place < units.length - 1) { value /= 1024; place += 1; }
  return `${place && value < 100 ? value.toFixed(1) : Math.round(value)} ${units[place]}`;
}
export function took(us) {
  if (us === null || us === undefined) return "–";
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return span(us / 1000);
}
/** A span of milliseconds. */
export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}
const two = (value, digits = 2) => String(value).padStart(digits, "0");
/** Local time; the whole moment in UTC as its title. */
export function moment(ms, short = false) {
  const at = new Date(ms);
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const today = at.toDateString() === new Date().toDateString();
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const text = short ? (today ? clock : `${day} ${clock.slice(0, 5)}`) : `${day} ${clock}.${two(at.getMilliseconds(), 3)}`;
  return h("time", { datetime: at.toISOString(), title: at.toISOString() }, text);
}
export const short = (digest) => (digest ? digest.slice(0, 12) : "none");
/** `code` and *words* of a text, as elements. */
export const rich = (text) => text.split(/(`[^`]+`|\*[^*]+\*)/).map((part) =>
  part.startsWith("`") ? h("code", {}, part.slice(1, -1)) : part.startsWith("*") && part.length > 2 ? h("em", {}, part.slice(1, -1)) : part);
