// Sources: who may post, and where.
import { get } from "../api.js";
import { card, copyable, count, empty, h, head, mark, number, replace } from "../dom.js";

export default async function sources({ place, signal, every }) {
  const list = h("div.grid", {});
  place.append(head("Sources", "Who may post, and how they prove who they are."), list,
    card("Requests without a source", h("p.soft.small", {}, "Requests whose URL names no source, or a wrong token: ", h("a", { href: "#/sources/-" }, "show the last ones"), ".")));
  const show = async () => {
    const page = await get("sources?limit=1000", signal);
    replace(list, page.sources.length ? page.sources.map(one_card)
      : empty("No sources", "Add one to the settings as ", h("code", {}, "[sources.NAME]"), "."));
  };
  await show();
  every(5000, show);
}

const one_card = (one) => h("section.card.stack", { "data-name": one.name },
  h("div.card-head", {}, h("h2.break", {}, h("a", { href: `#/sources/${one.name}` }, one.name)), mark(one.title, "accent")),
  copyable(one.url, `the URL of ${one.name}`),
  one.anomalies.length ? h("p.note.wait", {}, `Unusual: ${one.anomalies.join(", ")}`) : null,
  h("dl.facts", {},
    h("dt", {}, "In 5 min"), h("dd", {}, `${count(one.recent.events, "event")}, ${number(one.recent.refused)} refused`),
    h("dt", {}, "Plugins"), h("dd", {}, one.plugins.length ? one.plugins.join(" → ") : "none"),
    h("dt", {}, "Destinations"), h("dd", {}, one.destinations.length ? one.destinations.join(", ") : "as plugins say"),
    h("dt", {}, "Refused"), h("dd", {}, one.last_rejected
      ? [h("a", { href: `#/sources/${one.name}` }, number(one.rejected)), ` last: ${one.last_rejected.reason}`] : "none since the start")),
  h("div.actions", {}, h("a.button", { href: `#/sources/${one.name}` }, "Set it up"), h("a.button", { href: `#/events?source=${one.name}` }, "Its events")));
