// What several pages show: events as rows, and the dialogs that replay.
import { get, post, query } from "./api.js";
import { ask, button, count, h, moment, number, row, stateMark, toast } from "./dom.js";

/** An event as a row of a list. */
export const eventRow = (event, fresh = false) => row([
  [h("span.small", {}, moment(event.received_ms, true)), "soft"],
  [h("a", { href: `#/events/${event.id}` }, event.kind || h("span.mono", {}, event.id)), "break"],
  h("span.soft", {}, event.source),
  [stateMark(event.state), "nowrap"],
  [h("span.marks", {}, event.deliveries.map((one) => h(`span.mark.${moodOf(one.state)}`, {},
    `${one.destination} ${one.state}${one.attempts > 1 ? ` ×${one.attempts}` : ""}`))), "full"],
], { "data-open": true, "data-id": event.id, class: fresh ? "fresh" : null });
const moodOf = (state) => ({ delivered: "good", dead: "bad", waiting: "wait" })[state] || "soft";
export const EVENT_HEADS = ["Time", "Event", "Source", "State", "Deliveries"];

/** Begins a bulk replay, and tells how far it is until it has ended. */
export async function replayAll(wanted, told) {
  let job = await post("replays", wanted);
  while (job.state === "running") {
    told(job);
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    job = await get(`replays/${job.id}`);
  }
  return job;
}

const SPANS = [["1 hour", 3600e3], ["24 hours", 86400e3], ["7 days", 604800e3], ["everything that is kept", null]];

/** Send again to a destination what went to it. */
export function replaySince(name, after) {
  const since = h("select", {}, SPANS.map(([text], at) => h("option", { value: String(at) }, text)));
  const which = h("select", {}, h("option", { value: "dead" }, "dead deliveries"), h("option", { value: "" }, "all of them, delivered ones too"));
  const says = h("p.note", { role: "status" }, "…");
  const filter = () => {
    const ms = SPANS[Number(since.value)][1];
    return { destination: name, since: ms === null ? 0 : Date.now() - ms, ...(which.value ? { delivery: which.value } : {}) };
  };
  const look = async () => {
    const page = await get(`events${query({ ...filter(), limit: 1000 })}`);
    says.textContent = page.events.length === 0 ? "No event fits." : `${page.next ? "More than " : ""}${count(page.events.length, "event")} will be sent again.`;
  };
  since.addEventListener("change", () => look().catch(() => {}));
  which.addEventListener("change", () => look().catch(() => {}));
  look().catch((error) => { says.textContent = error.message; });
  ask(`Replay to ${name}`, (done) => [
    h("p.soft", {}, "What was sent before is sent again as it was, with the same webhook-id."),
    h("label", {}, "Which", which), h("label", {}, "Accepted within the last", since), says,
    h("div.actions", {}, button("Cancel", done), button("Replay", async (click) => {
      click.target.disabled = true;
      try {
        const job = await replayAll({ filter: filter(), destination: name }, (so) => { says.textContent = `${number(so.replayed)} replayed, ${Math.round(so.progress * 100)} %. It goes on where you close this.`; });
        done();
        toast(`${count(job.replayed, "event")} sent again.`);
        await after();
      } catch (error) {
        says.className = "note bad";
        says.textContent = error.message;
        click.target.disabled = false;
      }
    }, ".main")),
  ]);
}
