// Who changed what and when.
import { get, query } from "../api.js";
import { button, card, empty, h, head, mark, moment, replace, row, table } from "../dom.js";

export default async function audit({ place, signal }) {
  const list = h("div.stack", {});
  const older = button("Older entries", () => more());
  place.append(head("Audit", "Every request that changes something, also a refused one, and every reload of the settings."), card("Changes", list, h("div", {}, older)));
  let [rows, next, broken] = [[], undefined, 0];
  const more = async () => {
    const page = await get(`audit${query({ before: next, limit: 50 })}`, signal);
    rows = [...rows, ...page.audit];
    next = page.next;
    older.hidden = !next;
    broken = page.broken;
    replace(list, broken ? h("p.note.bad", {}, `${broken} lines of the audit log can't be read: a full disk or a crash cut them off.`) : null, rows.length ? table("Changes", ["Time", "Who", "What", "Answer", "With"], rows.map(entry)) : empty("No changes yet", "Nobody changed anything since the store was made."));
  };
  await more();
}

const entry = (one) => row([
  [moment(one.at_ms, true), "soft"], [h("span", { title: one.from ?? "" }, one.who), "nowrap"], [h("code", {}, one.action === "reload" ? `reload ${one.path}` : one.path), "full"],
  one.status === null ? mark("not ended", "bad") : mark(one.status, one.status < 300 ? "good" : "bad"), [one.body ? h("code", {}, JSON.stringify(one.body)) : "", "full"]]);
