// One event, from the moment it came in to the last attempt to deliver it.
import { get, may, raw } from "../api.js";
import { curl } from "../curl.js";
import { button, bytes, card, copy, copyable, h, head, mark, mood, moment, number, replace, rich, short, stateMark, took } from "../dom.js";
import { replayDialog } from "../replay.js";
import { content, diff, text, view } from "../text.js";

export default async function event({ place, signal, name, keys, every }) {
  const [mayReplay, first, body, destinations, sources] = await Promise.all([
    may("replay"), get(`events/${encodeURIComponent(name)}`, signal), raw(`events/${encodeURIComponent(name)}/body`, signal),
    get("destinations?limit=1000", signal), get("sources?limit=1000", signal)]);
  const source = sources.sources.find((one) => one.name === first.source);
  const urls = new Map(destinations.destinations.map((one) => [one.name, one.url]));
  const list = h("ol.timeline", {});
  const under = h("span.marks", {});
  let seen = "";
  const show = (now) => {
    const told = JSON.stringify(now);
    if (told === seen) return;
    seen = told;
    const open = [...list.querySelectorAll("details[open]")].map((one) => one.dataset.key);
    replace(under, stateMark(now.state), now.replays ? mark(now.replays === 1 ? "replayed once" : `replayed ${number(now.replays)} times`) : null);
    replace(list, steps(now, body, source, urls));
    for (const one of list.querySelectorAll("details")) if (open.includes(one.dataset.key)) one.open = true;
  };
  const again = async () => show(await get(`events/${first.id}`, signal));
  const replay = () => replayDialog(first, body, again);
  const asCurl = () => {
    const query = kept(first.headers, "hookwright-query");
    const url = `${source?.url ?? `${location.origin}/in/${first.source}`}${query ? `?${query}` : ""}`;
    copy(curl(url, sent(first.headers), body, kept(first.headers, "hookwright-method")), "the event as curl");
  };
  place.append(
    head(first.kind || "Event", under, button("Copy as curl", asCurl), mayReplay ? button("Replay…", replay, ".main") : null),
    copyable(first.id, "the event's id"), card("What happened", list), card("Body", view(body, "The body as it came")));
  show(first);
  if (mayReplay) keys({ r: replay });
  every(2000, again);
}

/** What a client writes itself is left out. */
/** How the source was asked, which the host keeps as headers of its own; none for a POST without a query. */
const kept = (headers, name) => headers.find(([one]) => one === name)?.[1];
const NOT_SENT = ["host", "content-length", "accept-encoding", "connection", "hookwright-method", "hookwright-query"];
const sent = (headers) => headers.filter(([name]) => !NOT_SENT.includes(name));
const raws = (headers) => headers.map(([name, value]) => `${name}: ${value}`).join("\n");
/** What is inside is made when it is opened first: an event may have many attempts, each with its body. */
const opens = (key, title, inside, kind = "") => {
  const made = h(`details${kind}`, { "data-key": key }, h("summary", {}, title));
  made.addEventListener("toggle", () => { if (made.open && made.childElementCount === 1) made.append(inside()); });
  return made;
};

function step(kind, title, when, ...inside) {
  return h(`li${kind ? `.${kind}` : ""}`, {}, h("div.step", {}, h("div.step-head", {}, h("strong", {}, title), when), ...inside));
}

function steps(now, body, source, urls) {
  const all = [step("good", "Received", moment(now.received_ms),
    h("p.soft.small", {}, `${bytes(now.body_bytes)} of ${now.content_type || "unknown type"} from `, h("a", { href: `#/sources/${now.source}` }, now.source)),
    opens("headers", `${now.headers.length} headers`, () => h("pre", { tabindex: "0" }, raws(now.headers))))];
  all.push(source
    ? step("good", source.scheme === "none" ? "Taken without a check" : "Verified", null, h("p.soft.small", {}, source.scheme === "none" ? "The source lets anybody post." : `As ${source.title} (${source.scheme}) signs.`))
    : step("", "Verified", null, h("p.soft.small", {}, "The settings do not have this source any more.")));
  all.push(...now.rulings.map(verdict));
  if (now.reason) all.push(step(mood(now.state), now.state[0].toUpperCase() + now.state.slice(1), null, h("p.small.break", {}, now.reason)));
  all.push(...now.deliveries.map((one) => delivery(now, one, body, urls.get(one.destination))));
  return all;
}

const LOOKS = { accent: "good", good: "good", bad: "bad", wait: "wait" };
function verdict(one, at) {
  const reason = one.reason === undefined ? null : typeof one.reason === "number" ? `to ${one.reason} destinations` : one.reason;
  return step(LOOKS[mood(one.decision)] ?? "", one.plugin, [mark(one.decision, mood(one.decision)), h("span.took", {}, took(one.took_us))],
    h("p.soft.small.break", {}, "version ", h("code", { title: one.digest ?? "" }, short(one.digest)), reason ? `: ${reason}` : "",
      one.used?.length ? `; used ${one.used.join(", ")}` : ""),
    one.log?.length ? opens(`log${at}`, `${one.log.length} log lines`, () => h("pre.log", { tabindex: "0" }, one.log.join("\n"))) : null);
}

function delivery(now, one, body, url) {
  const sending = one.changed?.body === null || one.changed?.body === undefined ? body : content(one.changed.body);
  const [before, after] = [text(body), text(sending)];
  const changed = one.changed && sending !== body;
  return step(mood(one.state), `To ${one.destination}`, stateMark(one.state),
    url ? h("p.soft.small.break", {}, url) : null,
    one.cause ? h("p.small.bad.break", {}, one.cause) : null,
    one.behind ? h("p.soft.small", {}, "waits for an earlier one of the same order key")
      : one.state === "waiting" ? h("p.soft.small", {}, "due ", moment(one.due_ms)) : null,
    changed && before !== null && after !== null ? opens(`diff-${one.destination}`, "What the plugins changed in the body", () => diff(before, after)) : null,
    h("div.attempts", {}, one.log.map((tried) => attempt(now, one, tried, sending, url))));
}

/** The request as it left. The signature is made when it leaves, and is not kept. */
function request(now, one, tried) {
  let headers = [["content-type", one.changed?.content_type ?? now.content_type], ["webhook-id", now.id],
    ["webhook-timestamp", String(Math.floor(tried.at_ms / 1000))], ["hookwright-attempt", String(tried.number)], ["hookwright-source", now.source]];
  for (const edit of one.changed?.headers ?? []) {
    headers = headers.filter(([name]) => name !== edit.name.toLowerCase());
    if (edit.value !== null) headers.push([edit.name.toLowerCase(), edit.value]);
  }
  return headers.filter(([, value]) => value);
}

function attempt(now, one, tried, sending, url) {
  const good = tried.taken || (tried.status >= 200 && tried.status < 300);
  const end = tried.taken ? "taken" : tried.status ?? `${tried.cause}`;
  const headers = request(now, one, tried);
  return opens(`${one.destination}-${tried.number}`,
    [`Attempt ${tried.number} `, mark(end, good ? "good" : "bad"), " ", h("span.soft.small", {}, moment(tried.at_ms), `, ${took(tried.took_us)}`)],
    () => h("div.stack", {}, h("div.pair", {},
      h("div.step", {}, h("h3", {}, "Request"), h("pre", { tabindex: "0" }, `POST ${url ?? "(unknown)"}\n${raws(headers)}`), view(sending, "The body that was sent")),
      h("div.step", {}, h("h3", {}, "Answer"), tried.message ? h("p.small.bad.break", {}, tried.message) : null,
        tried.status ? h("pre", { tabindex: "0" }, `${tried.status}${tried.retry_after_s === undefined || tried.retry_after_s === null ? "" : `\nretry-after: ${tried.retry_after_s}`}`) : null,
        tried.answer === undefined ? null : view(content(tried.answer), "The start of the answer"))),
    h("p.soft.small", {}, ...rich("The signature is made anew for each attempt and is not kept; a copied request goes without it.")),
    h("div", {}, url ? button("Copy as curl", () => copy(curl(url, headers, sending), "the attempt as curl")) : null)), ".attempt");
}
