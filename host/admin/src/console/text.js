// Bodies as text: indented without touching a value, and compared line by line. What is shown is bounded, whatever came.
import { h } from "./dom.js";

/** The body as text, or null where it is none. */
export function text(body) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    return null;
  }
}

/** Characters of a body that are looked at, and that a page shows of it. */
const SHOWN = 256 * 1024;
const INDENTED = 1024 * 1024;
/** Levels that are moved to the right; deeper ones begin where the last of these does. */
const LEVELS = 24;

/** JSON with line breaks; numbers and texts stay as they stand. Anything else, and what would become too large, as it is. */
export function indent(source) {
  try {
    JSON.parse(source);
  } catch {
    return source;
  }
  let out = "";
  let depth = 0;
  const line = () => { out += `\n${"  ".repeat(Math.min(depth, LEVELS))}`; };
  for (let at = 0; at < source.length; at += 1) {
    if (out.length > INDENTED) return source;
    const char = source[at];
    if (char === '"') {
      const from = at;
      for (at += 1; source[at] !== '"'; at += 1) if (source[at] === "\\") at += 1;
      out += source.slice(from, at + 1);
    } else if (char === "{" || char === "[") {
      let next = at + 1;
      while (/\s/.test(source[next])) next += 1;
      out += char;
      if (source[next] === "}" || source[next] === "]") out += source[next];
      else { depth += 1; line(); next -= 1; }
      at = next;
    } else if (char === "}" || char === "]") { depth -= 1; line(); out += char;
    } else if (char === ",") { out += char; line();
    } else if (char === ":") out += ": ";
    else if (!/\s/.test(char)) out += char;
  }
  return out;
}

const LINES = 3000;

/** What changed, line by line, with three lines around each change. */
export function diff(before, after) {
  const place = h("pre.diff", { tabindex: "0", "aria-label": "What changed in the body" });
  if (before.length > SHOWN || after.length > SHOWN) {
    place.append(h("span.gap", {}, `too long to compare here: ${before.length} and ${after.length} characters`));
    return place;
  }
  const [old, now] = [indent(before).split("\n"), indent(after).split("\n")];
  if (old.length > LINES || now.length > LINES) {
    place.append(h("span.gap", {}, `too long to compare here: ${old.length} and ${now.length} lines`));
    return place;
  }
  const steps = compare(old, now);
  const near = steps.map((_, at) => steps.slice(Math.max(0, at - 3), at + 4).some(([kind]) => kind !== " "));
  steps.forEach(([kind, line], at) => {
    if (near[at]) place.append(h(kind === "+" ? "span.plus" : kind === "-" ? "span.minus" : "span", {}, `${kind} ${line}`));
    else if (at === 0 || near[at - 1]) place.append(h("span.gap", {}, "  …"));
  });
  return place;
}

/** The longest lines in common stay; the ends that are alike are not looked at. */
function compare(old, now) {
  let start = 0;
  while (start < old.length && start < now.length && old[start] === now[start]) start += 1;
  let end = 0;
  while (end < old.length - start && end < now.length - start && old.at(-1 - end) === now.at(-1 - end)) end += 1;
  const [a, b] = [old.slice(start, old.length - end), now.slice(start, now.length - end)];
  const steps = old.slice(0, start).map((line) => [" ", line]);
  const tail = old.slice(old.length - end).map((line) => [" ", line]);
  if (a.length * b.length > 4e6) return [...steps, ...a.map((line) => ["-", line]), ...b.map((line) => ["+", line]), ...tail];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) for (let j = b.length - 1; j >= 0; j -= 1) {
    common[i * width + j] = a[i] === b[j] ? common[(i + 1) * width + j + 1] + 1
      : Math.max(common[(i + 1) * width + j], common[i * width + j + 1]);
  }
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { steps.push([" ", a[i]]); i += 1; j += 1; }
    else if (j === b.length || (i < a.length && common[(i + 1) * width + j] >= common[i * width + j + 1])) { steps.push(["-", a[i]]); i += 1; }
    else { steps.push(["+", b[j]]); j += 1; }
  }
  return [...steps, ...tail];
}

/** Text, or `{ base64 }`, of the API as bytes. */
export function content(value) {
  if (value === null || value === undefined) return new Uint8Array();
  if (typeof value === "string") return new TextEncoder().encode(value);
  return Uint8Array.from(atob(value.base64), (char) => char.charCodeAt(0));
}

/** A body to look at. */
export function view(body, label) {
  if (!body.length) return h("p.soft.small", {}, "empty");
  const plain = text(body);
  if (plain === null) return h("p.soft.small", {}, `${body.length} bytes that are no text`);
  const cut = plain.length > SHOWN;
  return h("div", {}, h("pre", { tabindex: "0", "aria-label": label }, cut ? plain.slice(0, SHOWN) : indent(plain)),
    cut ? h("p.soft.small", {}, `the first ${SHOWN / 1024} KiB of ${plain.length} characters`) : null);
}
