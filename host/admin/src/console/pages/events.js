// Events: find any by id, source, kind, destination, state, time, and text in the body.
import { get, query } from "../api.js";
import { button, card, empty, h, head, number, replace, table } from "../dom.js";
import { EVENT_HEADS, eventRow } from "../lists.js";

const STATES = ["accepted", "routed", "dropped", "dead", "parked", "unrouted"];
const DELIVERIES = ["waiting", "delivered", "dead"];
const AGES = [["", "any time"], ["3600", "the last hour"], ["86400", "the last 24 hours"], ["604800", "the last 7 days"]];
const ID = /^evt_[0-9A-Za-z]{26}$/;

export default async function events({ place, signal, search, every }) {
  const list = h("div.stack", {});
  const older = button("Older events", () => more());
  const says = h("p.soft.small", { role: "status" });
  const form = filters(search);
  place.append(head("Events"), card("Find", form), card("Found", list, says, h("div", {}, older)));
  const wanted = () => {
    const pairs = Object.fromEntries(search);
    delete pairs.focus;
    const { age, ...rest } = pairs;
    return age ? { ...rest, since: Date.now() - Number(age) * 1000 } : rest;
  };
  let [rows, next, paged] = [[], null, false];
  const load = async (before) => get(`events${query({ ...wanted(), before, limit: 50 })}`, signal);
  const show = (page, add) => {
    rows = add ? [...rows, ...page.events] : page.events;
    next = page.next;
    older.hidden = !next;
    older.textContent = page.searched ? "Search further" : "Older events";
    says.textContent = page.searched
      ? `Looked into ${number(page.searched.events)} bodies${page.searched.complete ? ", all that fit." : "; there are more."}` : "";
    const chosen = list.querySelector("tr[aria-selected]")?.dataset.id;
    replace(list, rows.length ? table("Events", EVENT_HEADS, rows.map((one) => eventRow(one)), "cards.events")
      : empty("No event fits", [...search].length ? "Take away a filter, or look further back." : "Nothing has come in yet."));
    if (chosen) list.querySelector(`tr[data-id="${CSS.escape(chosen)}"]`)?.setAttribute("aria-selected", "true");
  };
  const more = async () => { paged = true; show(await load(next), true); };
  show(await load());
  if (search.get("focus")) requestAnimationFrame(() => form.elements.text.focus());
  // A search in the bodies is not done again and again.
  if (!search.get("text")) every(5000, async () => { if (!paged) show(await load()); });
}

function filters(search) {
  const field = (name, label) => h("label", {}, label, h("input", { name, value: search.get(name) ?? "", autocomplete: "off" }));
  const select = (name, label, options) => h("label", {}, label, h("select", { name },
    options.map(([value, text]) => h("option", { value, selected: (search.get(name) ?? "") === value }, text))));
  const any = (all) => [["", "any"], ...all.map((one) => [one, one])];
  const form = h("form.filters", {
    onsubmit: (submit) => {
      submit.preventDefault();
      const pairs = Object.fromEntries(new FormData(form));
      const text = pairs.text.trim();
      location.hash = ID.test(text) ? `#/events/${text}` : `#/events${query(pairs)}`;
    },
  },
  h("label.wide", {}, "Text in the body, or an event's id", h("span.search", {},
    h("input", { name: "text", type: "search", "data-search": true, value: search.get("text") ?? "", autocomplete: "off", placeholder: "order 1042, evt_…" }),
    h("button.main", { type: "submit" }, "Search"))),
  field("source", "Source"), field("kind", "Kind"), field("destination", "Destination"),
  select("state", "State", any(STATES)), select("delivery", "Delivery", any(DELIVERIES)), select("age", "Time", AGES));
  return form;
}
