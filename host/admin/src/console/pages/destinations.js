// Destinations: health, backlog, and the switch.
import { get, may, post } from "../api.js";
import { ratio } from "../chart.js";
import { button, card, empty, h, head, mark, moment, number, replace, row, span, table, toast } from "../dom.js";
import { replaySince } from "../lists.js";

export default async function destinations({ place, signal, every }) {
  const list = h("div.grid", {});
  const [admin, replays] = await Promise.all([may("admin"), may("replay")]);
  const jobs = h("div", {});
  place.append(head("Destinations", "Where events go. What waits for one that is off is kept."), list, card("Bulk replays", jobs));
  const show = async () => {
    const [page, known] = await Promise.all([get("destinations?limit=1000", signal), get("replays?limit=20", signal)]);
    replace(jobs, known.replays.length ? table("Bulk replays", ["Time", "Replay", "State", "Progress", ""], known.replays.map((one) => job_row(one, replays, show)))
      : h("p.soft.small", {}, "None was asked for yet."));
    replace(list, page.destinations.length ? page.destinations.map((one) => one_card(one, admin, replays, show))
      : empty("No destinations", "Add one to the settings as ", h("code", {}, "[destinations.NAME]"), "."));
  };
  await show();
  every(5000, show);
}

const WAYS = { plugins: "through today's plugins", original: "as sent before" };

/** A bulk replay, and what can be done with it. */
function job_row(one, may_replay, show) {
  const act = { running: "stop", stopped: "resume" }[one.state];
  const which = Object.entries(one.filter).filter(([name, value]) => value !== null && name !== "since" && name !== "until").map(([name, value]) => `${name} ${value}`);
  const turn = async () => {
    await post(`replays/${one.id}/${act}`);
    await show();
  };
  return row([
    [moment(one.created_ms, true), "soft"],
    [h("span.small", {}, `${one.id}: ${which.join(", ") || "all"}, ${WAYS[one.way] ?? `to ${one.way.to} as sent before`}${one.rate ? `, ${one.rate} a second` : ""}`), "full"],
    mark(one.state, { running: "wait", done: "good" }[one.state] ?? ""),
    h("span.small.number", {}, `${Math.round(one.progress * 100)} %, ${number(one.replayed)} replayed of ${number(one.looked)}`),
    may_replay && act ? button(act === "stop" ? "Stop" : "Go on", turn) : ""]);
}

const MOODS = { running: "good", slowed: "wait", probing: "wait", paused: "wait", "breaker-open": "bad", disabled: "bad" };

function state(one) {
  if (!one.known) return mark("not in the settings", "wait");
  if (one.state === "running" && one.failures > 2) return mark("failing", "bad");
  return mark(one.state === "slowed" ? `slowed to ${one.limit} at once` : one.state.replace("-", " "), MOODS[one.state]);
}

/** What a person may do with it now, as a button and as the API names it. */
function acts(one) {
  if (one.disabled || one.state === "paused") return [["Enable", "enable"]];
  const breaker = ["breaker-open", "probing", "slowed"].includes(one.state) ? [["Try now", "close-breaker"]] : [];
  return [...breaker, ["Pause 10 min", "pause"], ["Disable", "disable"]];
}

function one_card(one, admin, replays, show) {
  const { recent } = one;
  const attempts = recent.succeeded + recent.failed;
  const turn = async (way) => {
    try {
      await post(`destinations/${encodeURIComponent(one.name)}/${way}`);
      toast(`${one.name}: ${way.replace("-", " ")} is done.`);
    } catch (error) {
      toast(error.message);
    }
    await show();
  };
  return h("section.card.stack", { "data-name": one.name },
    h("div.card-head", {}, h("h2.break", {}, one.name), state(one)),
    h("div.step", {},
      one.url ? h("p.soft.small.break", {}, one.url) : null,
      one.disabled ? h("p.note.bad", {}, one.disabled) : null,
      one.until_ms ? h("p.note.wait", {}, "Nothing is sent until ", moment(one.until_ms, true)) : null),
    h("div.step", {}, h("p.small.soft", {}, attempts ? `${number(recent.succeeded)} of ${number(attempts)} attempts succeeded in 5 min` : "no attempts in 5 min"),
      ratio([[recent.succeeded, "good"], [recent.failed, "bad"]], `${recent.succeeded} attempts succeeded, ${recent.failed} failed`)),
    h("dl.facts", {},
      h("dt", {}, "Waiting"), h("dd", {}, one.waiting ? [h("a", { href: `#/events?destination=${one.name}&delivery=waiting` }, number(one.waiting)), ` the oldest for ${span(Date.now() - one.oldest_ms)}`] : "none"),
      h("dt", {}, "Dead"), h("dd", {}, one.dead ? h("a", { href: `#/events?destination=${one.name}&delivery=dead` }, number(one.dead)) : "none"),
      h("dt", {}, "An attempt takes"), h("dd", {}, recent.p50_ms === null ? "–" : `${span(recent.p50_ms)}, 99th percentile ${span(recent.p99_ms)}`),
      h("dt", {}, "Lag"), h("dd", {}, recent.lag_p50_ms === null ? "–" : `${span(recent.lag_p50_ms)}, 99th percentile ${span(recent.lag_p99_ms)}`),
      h("dt", {}, "Last attempt"), h("dd", {}, one.last ? [mark(one.last.outcome.split(":")[0], one.last.good ? "good" : "bad"), " ", moment(one.last.at_ms, true)] : "none since the start")),
    h("div.actions", {},
      admin && one.known ? acts(one).map(([text, way]) => button(text, () => turn(way), way === "enable" || way === "close-breaker" ? ".main" : "")) : null,
      replays ? button("Replay since…", () => replaySince(one.name, show)) : null));
}
