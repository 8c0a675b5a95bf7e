// Plugins: the active versions, what they may use, and how they do.
import { get } from "../api.js";
import { ratio } from "../chart.js";
import { empty, h, head, mark, moment, number, replace, short, took } from "../dom.js";

export default async function plugins({ place, signal, every }) {
  const list = h("div.grid", {});
  place.append(head("Plugins", "What filters, changes and routes events. A new file in the folder takes over between two events."), list);
  const show = async () => {
    const page = await get("plugins?limit=1000", signal);
    replace(list, page.plugins.length ? page.plugins.map(one_card)
      : empty("No plugins", "Events go to their source's destinations as they came. ", h("code", {}, "hookwright plugin new NAME"), " starts one."));
  };
  await show();
  every(5000, show);
}

function state(one) {
  if (one.quarantine) return mark("quarantined", "bad");
  if (!one.digest) return mark("not loaded", "bad");
  return one.error ? mark("newest file refused", "wait") : mark("active", "good");
}

function one_card(one) {
  const { recent } = one;
  return h("section.card.stack", { "data-name": one.name },
    h("div.card-head", {}, h("h2.break", {}, one.name), state(one)),
    one.summary ? h("p.soft.small", {}, one.summary) : null,
    one.quarantine ? h("p.note.bad.break", {}, one.quarantine.why, ", since ", moment(one.quarantine.since_ms, true), one.quarantine.next_probe_ms ? ["; next try ", moment(one.quarantine.next_probe_ms, true)] : null) : null,
    one.error ? h("p.note.bad.break", {}, one.error) : null,
    h("dl.facts", {},
      h("dt", {}, "Version"), h("dd", {}, one.version ?? "–", one.digest ? [" ", h("code", { title: one.digest }, short(one.digest))] : null),
      h("dt", {}, "Grants"), h("dd", {}, one.grants.length ? one.grants.join(", ") : "none"),
      h("dt", {}, "Calls in 5 min"), h("dd", {}, number(recent.calls)),
      h("dt", {}, "Failed"), h("dd", {}, recent.failed ? h("span.bad", {}, number(recent.failed)) : "none"),
      h("dt", {}, "A call takes"), h("dd", {}, recent.p50_us === null ? "–" : `${took(recent.p50_us)}, 99th percentile ${took(recent.p99_us)}`)),
    one.candidate ? candidate(one.candidate) : null);
}

function candidate(one) {
  const seen = [["same", one.same, "good"], ["different", one.different, "accent"], ["mended", one.mended, "wait"], ["failed", one.failed, "bad"]];
  const words = seen.map(([word, count]) => `${number(count)} ${word}`).join(", ");
  return h("div.step", {},
    h("h3", {}, "Beside it: ", one.digest ? h("code", { title: one.digest }, short(one.digest)) : "nothing loaded", `, ${one.mode}`),
    ratio(seen.map(([, count, kind]) => [count, kind]), words),
    h("p.soft.small", {}, words, one.skipped ? `, ${number(one.skipped)} left out` : ""),
    one.stopped || one.error ? h("p.note.bad.break", {}, one.stopped || one.error) : null);
}
