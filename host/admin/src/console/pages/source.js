// One source: how its provider is set up, and what was refused.
import { get } from "../api.js";
import { card, copyable, empty, h, head, mark, moment, replace, rich } from "../dom.js";

export default async function source({ place, signal, name, every }) {
  const path = `sources/${encodeURIComponent(name)}/rejected`;
  const [page, refused] = await Promise.all([get("sources?limit=1000", signal), get(path, signal)]);
  const own = page.sources.find((one) => one.name === name);
  const list = h("div.attempts", {});
  place.append(head(own ? own.name : "Requests without a source",
    own ? mark(own.title, "accent") : "Their URL names no source, or has a wrong token.",
    own ? h("a.button", { href: `#/events?source=${own.name}` }, "Its events") : null));
  if (own) {
    place.append(card("Set it up at the provider",
      h("ol.steps", {},
        h("li", {}, h("div.step", {}, h("span", {}, "Give it this URL", own.path.endsWith("/TOKEN") ? [", with one of the source's tokens in the place of ", h("code", {}, "TOKEN")] : "", "."), copyable(own.url, `the URL of ${own.name}`))),
        own.setup.map((text) => h("li", {}, h("span", {}, rich(text)))),
        h("li", {}, h("span", {}, "Try it: ", h("code", {}, `hookwright send ${own.name}`), " sends a sample, signed as the provider signs.")))));
  }
  place.append(card("Last refused requests", list));
  const show = ({ rejected }) => replace(list, rejected.length ? rejected.map(entry)
    : empty("Nothing was refused", "Since the start of the host."));
  show(refused);
  every(5000, async () => { if (!list.querySelector("[open]")) show(await get(path, signal)); });
}

const entry = (one) => h("details.attempt", {},
  h("summary", {}, mark(`${one.status} ${one.reason}`, "bad"), " ", h("span.soft.small", {}, moment(one.at_ms, true), ` from ${one.client}`)),
  h("div.stack", {}, h("p.small.break", {}, one.cause),
    h("pre", { tabindex: "0", "aria-label": "The refused request" }, [`${one.method} ${one.path}`, ...one.headers.map((pair) => pair.join(": "))].join("\n")),
    one.body_bytes === null ? h("p.soft.small", {}, "The body was not read.") : one.body_bytes === 0 ? h("p.soft.small", {}, "Without a body.")
      : h("pre", { tabindex: "0", "aria-label": "The start of its body" }, one.body),
    h("p.soft.small", {}, "Its sender got the id ", h("code", {}, one.request), ".")));
