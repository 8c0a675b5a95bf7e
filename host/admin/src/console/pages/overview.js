// The host at a glance: rates, success, lag and backlog over the last hour, and what needs a look.
import { get } from "../api.js";
import { line, thin } from "../chart.js";
import { bytes, card, count, empty, h, head, number, replace, span, table } from "../dom.js";
import { EVENT_HEADS, eventRow } from "../lists.js";

const POINTS = 72;

export default async function overview({ place, signal, every }) {
  const tiles = h("div.tiles", {});
  const attention = h("div", {});
  const latest = h("div", {});
  const about = h("span", {});
  place.append(head("Overview", about), tiles, card("Needs a look", attention), card("Latest events", latest));
  const show = async () => {
    const [stats, series, destinations, sources, plugins, events] = await Promise.all([
      get("stats", signal), get("stats/series", signal), get("destinations?limit=1000", signal), get("sources?limit=1000", signal),
      get("plugins?limit=1000", signal), get("events?limit=8", signal)]);
    about.textContent = `${count(stats.events, "event")} kept, ${bytes(stats.bytes)} on the disk, version ${stats.version}`;
    replace(tiles, figures(series, stats));
    replace(attention, notices(destinations.destinations, sources.sources, plugins.plugins, stats));
    replace(latest, events.events.length ? table("Latest events", EVENT_HEADS, events.events.map((one) => eventRow(one)), "cards.events")
      : empty("No events yet", "Send one: ", h("code", {}, "hookwright send SOURCE"), ", or give a provider the URL under ", h("a", { href: "#/sources" }, "Sources"), "."));
  };
  await show();
  every(5000, show);
}

function figures({ step_ms, points }, stats) {
  const now = points.slice(-30);
  const seconds = Math.max(1, (now.length * step_ms) / 1000);
  const sum = (name, of = now) => of.reduce((all, point) => all + point[name], 0);
  const of = (name) => thin(points.map((point) => point[name]), POINTS);
  const known = now.filter((point) => point.lag_p99_ms !== null);
  const lag = known.length ? Math.max(...known.map((point) => point.lag_p99_ms)) : null;
  const attempts = sum("succeeded") + sum("failed");
  const rate = sum("accepted") / seconds;
  const highest = (part) => { const good = part.filter((one) => one !== null); return good.length ? Math.max(...good) : null; };
  const share = attempts ? (100 * sum("succeeded")) / attempts : null;
  return [
    tile("Accepted", rate >= 10 ? Math.round(rate) : rate.toFixed(1), "/s", `${number(sum("refused"))} refused in 5 min`,
      line(of("accepted"), `Events accepted over the last hour, ${number(sum("accepted", points))} in all`)),
    tile("Attempts that succeed", share === null ? "–" : share === 100 ? "100" : share.toFixed(1), share === null ? "" : "%", `${number(sum("failed"))} of ${number(attempts)} failed in 5 min`,
      line(of("failed"), `Failed attempts over the last hour, ${number(sum("failed", points))} in all`, "bad")),
    tile("Lag, 99th percentile", lag === null ? "–" : span(lag), "", "from acceptance to delivery, 5 min",
      line(thin(points.map((point) => point.lag_p99_ms), POINTS, highest), "Lag over the last hour")),
    tile("Waiting", number(stats.waiting), "", `${number(stats.dead)} dead deliveries`,
      line(thin(points.map((point) => point.waiting), POINTS, highest), "Waiting deliveries over the last hour")),
  ];
}

const tile = (title, figure, unit, under, chart) => h("section.card.tile", {},
  h("h3", {}, title), h("p", {}, h("span.figure", {}, figure), unit ? h("span.unit", {}, ` ${unit}`) : null),
  h("div", {}, h("p.soft.small", {}, under), chart));

function notices(destinations, sources, plugins, stats) {
  const found = [];
  const add = (mood, text, why, href) => found.push(h("a", { href }, h(`span.mark.${mood}`, {}, text), h("span.soft", {}, why)));
  for (const one of destinations) {
    if (one.disabled) add("bad", `${one.name} is off`, `${one.disabled}; ${number(one.waiting)} deliveries wait`, "#/destinations");
    else if (one.state === "breaker-open" || one.state === "probing") add("bad", `${one.name} has its breaker open`, `last: ${one.last?.outcome ?? "unknown"}; ${number(one.waiting)} deliveries wait`, "#/destinations");
    else if (one.failures > 2) add("bad", `${one.name} fails`, `${number(one.failures)} attempts in a row, last: ${one.last?.outcome ?? "unknown"}`, "#/destinations");
    else if (one.oldest_ms && Date.now() - one.oldest_ms > 300e3) add("wait", `${one.name} is behind`, `the oldest of ${number(one.waiting)} waits for ${span(Date.now() - one.oldest_ms)}`, "#/destinations");
    if (!one.known && one.waiting) add("wait", `${one.name} is unknown`, `${number(one.waiting)} deliveries wait for a destination that the settings do not have`, "#/destinations");
  }
  for (const one of sources) if (one.anomalies.length) add("wait", `${one.name} is unusual`, one.anomalies.join(", "), `#/sources/${one.name}`);
  for (const one of plugins) {
    if (one.quarantine) add("bad", `${one.name} is quarantined`, one.quarantine.why, "#/plugins");
    else if (one.error) add(one.digest ? "wait" : "bad", `${one.name}: ${one.digest ? "newest file refused" : "not loaded"}`, one.error, "#/plugins");
    if (one.candidate?.stopped) add("wait", `candidate of ${one.name} stopped`, one.candidate.stopped, "#/plugins");
  }
  if (stats.dead) add("bad", `${number(stats.dead)} dead`, "deliveries that were given up; see why, and replay them", "#/events?delivery=dead");
  return found.length ? h("div.attention", {}, found) : h("p.soft", {}, "Nothing. Every destination takes its deliveries, every plugin runs.");
}
