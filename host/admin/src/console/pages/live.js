// Events as they come and as they change.
import { query, stream } from "../api.js";
import { button, card, empty, h, head, replace, table, toast } from "../dom.js";
import { EVENT_HEADS, eventRow } from "../lists.js";

const KEPT = 200;

export default async function live({ place, signal, search }) {
  const rows = new Map();
  const list = h("div", {});
  const says = h("span.mark.wait", { role: "status" }, "connecting");
  const form = h("form.filters", { onsubmit: (submit) => { submit.preventDefault(); location.hash = `#/live${query(Object.fromEntries(new FormData(form)))}`; } },
    ["source", "kind", "destination"].map((name) => h("label", {}, name[0].toUpperCase() + name.slice(1),
      h("input", { name, value: search.get(name) ?? "", autocomplete: "off" }))),
    h("div", {}, h("button", { type: "submit" }, "Filter")));
  let paused = false;
  const pause = button("Pause", () => { paused = !paused; pause.textContent = paused ? "Go on" : "Pause"; if (!paused) draw(); });
  place.append(head("Live", says, pause), card("Filter", form), card("Events", list));
  const draw = (id) => {
    const all = [...rows.values()].reverse();
    replace(list, all.length ? table("Events as they come", EVENT_HEADS, all.map((one) => eventRow(one, one.id === id)), "cards.events")
      : empty("Waiting for events", "They show up here within a second."));
  };
  draw();
  const follow = async () => {
    while (!signal.aborted) {
      try {
        says.textContent = "connected";
        says.className = "mark good";
        await stream(`stream${query(Object.fromEntries(search))}`, signal, (event) => {
          rows.set(event.id, event);
          if (rows.size > KEPT) rows.delete(rows.keys().next().value);
          if (!paused) draw(event.id);
        });
      } catch (error) {
        if (signal.aborted) return;
        toast(error.message);
      }
      says.textContent = "connecting";
      says.className = "mark wait";
      await new Promise((resolve) => { setTimeout(resolve, 2000); });
    }
  };
  follow();
}
