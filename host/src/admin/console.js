// The console: lists, follows and replays events through the API. Text only ever enters the page as text.
"use strict";

const $ = (id) => document.getElementById(id);
let token = sessionStorage.getItem("token") || "";
let next = null;
let shown = null;
let paged = false;
let turns = 0;

async function ask(path, method = "GET", body) {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(`/api/v1/${path}`, { method, headers, body });
  if (answer.status === 401) $("access").hidden = false;
  if (!answer.ok) throw new Error((await answer.json()).detail || answer.statusText);
  return answer;
}
const json = async (path) => (await ask(path)).json();

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}
function row(cells) {
  const made = element("tr");
  for (const cell of cells) {
    const place = element("td");
    place.append(cell instanceof Node ? cell : document.createTextNode(cell ?? ""));
    made.append(place);
  }
  return made;
}
function button(text, act, className) {
  const made = element("button", text, className);
  made.addEventListener("click", () => act().catch(say));
  return made;
}
const mood = (state) =>
  ({ delivered: "good", routed: "good", dead: "bad", parked: "bad", waiting: "wait", accepted: "wait" })[state] || "";
const time = (ms) => new Date(ms).toISOString().replace("T", " ").replace("Z", "");
const say = (error) => { $("stats").textContent = error.message; };

function deliveries(list) {
  const made = element("span");
  for (const one of list) {
    made.append(element("span", `${one.destination} ${one.state}`, mood(one.state)), element("br"));
  }
  return made;
}

async function list(older) {
  const turn = ++turns;
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData($("filter"))) if (value) wanted.set(name, value);
  if (older && next) wanted.set("before", next);
  const page = await json(`events?${wanted}`);
  if (turn !== turns) return;
  const rows = page.events.map((event) => row([
    time(event.received_ms), button(event.id, () => show(event.id), "link"), event.source, event.kind,
    element("span", event.state, mood(event.state)), deliveries(event.deliveries),
  ]));
  if (older) $("events").append(...rows); else $("events").replaceChildren(...rows);
  next = page.next;
  paged = older;
  $("older").hidden = !next;
}

function timeline(event) {
  const lines = [`${time(event.received_ms)} received from ${event.source} (${event.body_bytes} bytes)`];
  for (const one of event.rulings) {
    const digest = one.digest ? one.digest.slice(0, 12) : "no version";
    const reason = one.reason === undefined ? "" : `: ${one.reason}`;
    lines.push(`${one.plugin} (${digest}) ${one.decision}${reason} in ${one.took_us} µs`, ...(one.log || []));
  }
  for (const delivery of event.deliveries) {
    for (const attempt of delivery.log) {
      const end = attempt.taken ? "taken" : attempt.status ?? `${attempt.cause}: ${attempt.message}`;
      lines.push(`${time(attempt.at_ms)} ${delivery.destination} attempt ${attempt.number}: ${end} in ${attempt.took_us} µs`);
    }
    lines.push(`${delivery.destination}: ${delivery.state}${delivery.cause ? `, ${delivery.cause}` : ""}`);
  }
  if (event.reason) lines.push(`${event.state}: ${event.reason}`);
  return lines.map((line) => element("li", line));
}

async function show(id) {
  const event = await json(`events/${id}`);
  shown = id;
  $("detail").hidden = false;
  $("detail-title").textContent = `${event.kind || "Event"} ${id}`;
  $("timeline").replaceChildren(...timeline(event));
  $("body").textContent = await (await ask(`events/${id}/body`)).text();
  $("detail").scrollIntoView();
}

function candidateState(one) {
  const seen = `${one.same} same, ${one.different} different, ${one.failed} failed, ${one.mended} mended`;
  const digest = one.digest ? one.digest.slice(0, 12) : "not loaded";
  return `candidate ${digest} (${one.mode}): ${one.stopped || one.error || seen}`;
}

function pluginState(one) {
  if (one.quarantine) return element("span", `quarantined since ${time(one.quarantine.since_ms)}: ${one.quarantine.why}`, "bad");
  return element("span", one.error || (one.digest ? "in force" : "not loaded"), one.error ? "bad" : "");
}

function state(one) {
  const made = element("span");
  made.append(pluginState(one));
  if (one.candidate) {
    const bad = one.candidate.stopped || one.candidate.error;
    made.append(element("br"), element("span", candidateState(one.candidate), bad ? "bad" : ""));
  }
  return made;
}

async function rejected(name) {
  const page = await json(`sources/${name}/rejected`);
  $("rejected-part").hidden = false;
  $("rejected-title").textContent = name === "-" ? "Refused: no such source" : `Refused: ${name}`;
  $("rejected").replaceChildren(...page.rejected.map((one) => row([
    time(one.at_ms), one.request, one.client,
    element("span", `${one.status} ${one.reason}: ${one.cause}`, "bad"),
    element("pre", [`${one.method} ${one.path}`, ...one.headers.map((pair) => pair.join(": "))].join("\n")),
    one.body_bytes === null ? "not read" : element("pre", `${one.body_bytes} bytes: ${one.body}`),
  ])));
}

function sources(list) {
  const refused = (name, text) => button(text, () => rejected(name), "link");
  const last = (one) => one.last_rejected ? `${one.rejected}, last: ${one.last_rejected.reason}` : "none";
  return [...list.map((one) => row([
    one.name, one.path, one.scheme, element("span", one.anomalies.join(", "), "bad"),
    refused(one.name, last(one)),
  ])), row(["no such source", "", "", "", refused("-", "show")])];
}

function destinationState(one) {
  if (!one.known) return "not in the settings";
  const until = one.until_ms ? ` until ${time(one.until_ms)}` : "";
  const last = one.last && one.failures ? `, ${one.failures} failed in a row, last: ${one.last.outcome}` : "";
  const slower = one.state === "slowed" ? ` to ${one.limit} at once` : "";
  const text = `${one.disabled || one.state}${slower}${until}${last}`;
  return element("span", text, { running: "", slowed: "wait", paused: "wait", probing: "wait" }[one.state] ?? "bad");
}

function destinationActs(one) {
  const made = element("span");
  if (!one.known) return made;
  const act = (path) => async () => { await ask(`destinations/${one.name}/${path}`, "POST"); await overview(); };
  const off = one.disabled || one.state === "paused";
  const offers = off ? [["enable", "enable"]] : [["disable", "disable"], ["pause 10 min", "pause"]];
  if (one.state === "breaker-open" || one.state === "probing" || one.state === "slowed") offers.push(["close the breaker", "close-breaker"]);
  for (const [text, path] of offers) made.append(button(text, act(path)));
  if (one.dead) made.append(button(`recover ${one.dead} dead`, async () => {
    await ask("replays", "POST", JSON.stringify({ recover: { destination: one.name, since: 0 } }));
    await overview();
  }));
  return made;
}

function replays(list) {
  const how = (one) => (one.way === "plugins" ? "through today's plugins" : one.way === "original" ? "as sent before" : `to ${one.way.to} as sent before`);
  const act = (one, path) => button(path, async () => { await ask(`replays/${one.id}/${path}`, "POST"); await overview(); });
  const offer = { running: "stop", stopped: "resume" };
  return list.slice(0, 20).map((one) => row([
    time(one.created_ms), one.id, JSON.stringify(one.filter), how(one) + (one.rate ? ` at ${one.rate}/s` : ""),
    `${Math.round(one.progress * 100)} %: ${one.replayed} of ${one.looked}`, one.state,
    offer[one.state] ? act(one, offer[one.state]) : "",
  ]));
}

async function overview() {
  const [stats, destinations, plugins, known, jobs] =
    await Promise.all([json("stats"), json("destinations"), json("plugins"), json("sources"), json("replays")]);
  $("replays").replaceChildren(...replays(jobs.replays));
  $("sources").replaceChildren(...sources(known.sources));
  $("stats").textContent =
    `${stats.events} events · ${stats.waiting} waiting · ${stats.dead} dead · ${(stats.bytes / 1048576).toFixed(1)} MiB · ${stats.version}`;
  $("destinations").replaceChildren(...destinations.destinations.map((one) => {
    return row([one.name, one.url, one.waiting, one.dead, destinationState(one), destinationActs(one)]);
  }));
  $("plugins").replaceChildren(...plugins.plugins.map((one) => row([
    one.name, one.version, element("code", (one.digest || "").slice(0, 12)), one.summary,
    one.grants.join(", ") || "none",
    state(one),
  ])));
}

const reload = () => Promise.all([overview(), list(false)]).catch(say);
$("filter").addEventListener("submit", (submit) => { submit.preventDefault(); reload(); });
$("older").addEventListener("click", () => list(true).catch(say));
$("close").addEventListener("click", () => { $("detail").hidden = true; shown = null; });
$("rejected-close").addEventListener("click", () => { $("rejected-part").hidden = true; });
$("replay").addEventListener("click", () =>
  ask(`events/${shown}/replay`, "POST").then(() => show(shown)).then(reload).catch(say));
$("access").addEventListener("submit", (submit) => {
  submit.preventDefault();
  token = $("token").value;
  sessionStorage.setItem("token", token);
  $("access").hidden = true;
  reload();
});
reload();
setInterval(() => { if (document.hidden) return; if (paged) overview().catch(say); else reload(); }, 3000);
