// The reference of the API, drawn from its own document.
import { card, h, head, mark, replace, rich, table } from "./dom.js";

const wanted = localStorage.getItem("theme");
if (wanted === "light" || wanted === "dark") document.documentElement.dataset.theme = wanted;

const api = await (await fetch("/openapi.json")).json();
const follow = (schema) => (schema.$ref ? [schema.$ref.split("/").at(-1), api.components.schemas[schema.$ref.split("/").at(-1)]] : [null, schema]);

/** A schema in one line. */
function kind(schema, depth = 0) {
  const [name, own] = follow(schema);
  if (own.enum) return own.enum.filter((one) => one !== null).map((one) => JSON.stringify(one)).join(" | ");
  if (own.oneOf || own.anyOf) return (own.oneOf ?? own.anyOf).map((one) => kind(one, depth + 1)).join(" | ");
  if (name && depth > 0 && (own.type === "object" || own.allOf)) return name;
  const types = [own.type ?? "any"].flat().filter((type) => type !== "null");
  if (types[0] === "array") return `${own.items ? kind(own.items, depth + 1) : "value"}[]`;
  return types.join(" | ");
}

/** The fields of an object, with those of the parts that it is made of. */
function fields(schema) {
  const [, own] = follow(schema);
  if (own.allOf) return own.allOf.flatMap(fields);
  return Object.entries(own.properties ?? {}).map(([name, field]) => ({ name, field, always: own.required?.includes(name) }));
}

const rows = (list) => list.map(({ name, field, always, text }) => h("tr", {},
  h("td", {}, h("code", {}, name), always ? "" : h("span.soft.small", {}, " optional")),
  h("td.small.soft", {}, kind(field)),
  h("td.small", {}, rich((text ?? field.description ?? follow(field)[1].description ?? "").split("\n").join(" ")))));

function document_of(title, schema) {
  const all = fields(schema);
  return all.length ? h("details", {}, h("summary", {}, title), table(title, ["Field", "Type", "Meaning"], rows(all), "plain-rows")) : h("p.soft.small", {}, `${title}: ${kind(schema)}`);
}

function operation(path, method, one) {
  const parameters = (one.parameters ?? []).map((parameter) => ({
    name: parameter.name, field: parameter.schema, always: parameter.required, text: parameter.description ?? parameter.schema.description }));
  const asked = one.requestBody?.content["application/json"]?.schema;
  const answered = Object.values((one.responses["200"] ?? one.responses["202"])?.content ?? {})[0]?.schema;
  return h("section.card.stack", { id: one.operationId },
    h("div.card-head", {}, h("h3", {}, h("code.break", {}, `${method.toUpperCase()} ${path}`)), mark(one.security[0].token[0], "accent")),
    h("div.step", {}, h("strong", {}, one.summary), one.description ? h("p.soft.small", {}, rich(one.description)) : null),
    parameters.length ? table("Parameters", ["Parameter", "Type", "Meaning"], rows(parameters), "plain-rows") : null,
    asked ? document_of("What it takes", asked) : null,
    answered ? document_of("What it answers", answered) : null);
}

const parts = new Map(api.tags.map((tag) => [tag.name, []]));
for (const [path, item] of Object.entries(api.paths)) for (const [method, one] of Object.entries(item)) parts.get(one.tags[0]).push(operation(path, method, one));
replace(document.getElementById("nav"), api.tags.map((tag) => h("a", { href: `#${tag.name}` }, tag.name[0].toUpperCase() + tag.name.slice(1))));
replace(document.getElementById("main"), h("div.stack", {},
  head("API", `${api.info.title} ${api.info.version}`),
  card("How to ask", h("p.soft", {}, rich(api.info.description)),
    h("p.soft.small", {}, "Send ", h("code", {}, "authorization: Bearer TOKEN"), ". The scope beside each path is what its token needs; each scope includes the ones before it: read, replay, admin.")),
  api.tags.map((tag) => h("section.stack", { id: tag.name }, h("h2", {}, tag.name[0].toUpperCase() + tag.name.slice(1), " ", h("span.soft.small", {}, tag.description)), parts.get(tag.name)))));
