// Replays one event, after showing what that would do.
import { post } from "./api.js";
import { ask, button, h, mark, mood, replace, short, stateMark, toast } from "./dom.js";
import { content, diff, text } from "./text.js";

export function replayDialog(event, body, after) {
  const choices = [["", "Through today's plugins"], ...event.deliveries.map((one) => [one.destination, `To ${one.destination} again, as it was sent`])];
  const preview = h("div.stack", { role: "status" });
  let chosen = "";
  const show = async () => {
    if (chosen) {
      replace(preview, h("p.note", {}, `One delivery to ${chosen}, with the same webhook-id and the body that was recorded for it.`));
      return;
    }
    replace(preview, h("p.note", {}, "Asking today's plugins…"));
    try {
      replace(preview, told(await post(`events/${event.id}/preview`), event, body));
    } catch (error) {
      replace(preview, h("p.note.bad", {}, error.message));
    }
  };
  ask("Replay", (done) => [
    h("fieldset.stack", { class: "plain-set" }, choices.map(([value, label]) => h("label.choice", {},
      h("input", { type: "radio", name: "way", value, checked: value === chosen, onchange: () => { chosen = value; show(); } }), label))),
    preview,
    h("div.actions", {}, button("Cancel", done), button("Replay", async (click) => {
      click.target.disabled = true;
      try {
        await post(`events/${event.id}/replay`, chosen ? { destination: chosen } : {});
        done();
        toast("The event is handled again.");
        await after();
      } catch (error) {
        replace(preview, h("p.note.bad", {}, error.message));
        click.target.disabled = false;
      }
    }, ".main")),
  ]);
  show();
}

/** What a replay through today's plugins would come to. */
function told(would, event, body) {
  const then = new Map(event.rulings.map((one) => [one.plugin, one]));
  const before = text(body);
  return [
    h("dl.facts", {}, h("dt", {}, "It would be"), h("dd", {}, stateMark(would.state), would.reason ? ` ${would.reason}` : ""),
      would.rulings.map((one) => {
        const old = then.get(one.plugin);
        const version = old && old.digest !== one.digest ? `, another version than then (${short(old.digest)})` : "";
        return [h("dt", {}, one.plugin), h("dd", {}, mark(one.decision, mood(one.decision)),
          h("span.soft", {}, ` ${short(one.digest)}${version}${typeof one.reason === "string" ? `: ${one.reason}` : ""}`))];
      })),
    would.deliveries.length ? would.deliveries.map((one) => {
      const sent = one.changed?.body === null || one.changed?.body === undefined ? null : text(content(one.changed.body));
      return h("div.step", {}, h("p", {}, "A delivery to ", h("strong", {}, one.destination), sent === null ? h("span.soft", {}, ", the body as it came") : ""),
        sent !== null && before !== null ? diff(before, sent) : null);
    }) : h("p.note", {}, "Nothing would be sent."),
  ];
}
