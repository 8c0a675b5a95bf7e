// The API, with the token that the reader typed in, kept for the tab's life only.
import { ask, button, h, replace } from "./dom.js";

let token = sessionStorage.getItem("token") || "";
const headers = () => (token ? { authorization: `Bearer ${token}` } : {});

export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title || `the host answered ${status}`);
    this.status = status;
  }
}

let asking = null;
/** Asks the reader for a token, once for all that wait. */
function signIn() {
  asking ??= new Promise((resolve) => {
    const input = h("input", { type: "password", autocomplete: "off", name: "token", required: true });
    const dialog = ask("Sign in", () => h("form.stack", {
      onsubmit: (submit) => {
        submit.preventDefault();
        token = input.value.trim();
        sessionStorage.setItem("token", token);
        dialog.close();
      },
    },
    h("p.soft", {}, "This host asks for a token. ", h("code", {}, "hookwright token new"), " makes one; it stays in this tab."),
    h("label", {}, "Token", input),
    h("div.actions", {}, h("button.main", { type: "submit" }, "Open"))));
    dialog.addEventListener("close", () => { asking = null; resolve(); }, { once: true });
  });
  return asking;
}

async function send(path, { method = "GET", body, signal } = {}, again = true) {
  const answer = await fetch(`/api/v1/${path}`, {
    method, signal, headers: body === undefined ? headers() : { ...headers(), "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (answer.status === 401 && again) {
    await signIn();
    return send(path, { method, body, signal }, false);
  }
  if (!answer.ok) throw new Refusal(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export const get = async (path, signal) => (await send(path, { signal })).json();
export const post = async (path, body) => (await send(path, { method: "POST", body })).json();
export const raw = async (path, signal) => new Uint8Array(await (await send(path, { signal })).arrayBuffer());

export function query(pairs) {
  const wanted = new URLSearchParams();
  for (const [name, value] of Object.entries(pairs)) if (value !== "" && value !== undefined && value !== null) wanted.set(name, value);
  const text = wanted.toString();
  return text ? `?${text}` : "";
}

/** Reads server-sent events; a fetch, since an EventSource can send no token. */
export async function stream(path, signal, tell) {
  const answer = await send(path, { signal });
  const reader = answer.body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (pending + decoder.decode(value, { stream: true })).split("\n");
    pending = lines.pop();
    for (const line of lines) if (line.startsWith("data: ")) tell(JSON.parse(line.slice(6)));
  }
}

let own;
/** What the token may do: `read`, `replay` or `admin`. */
export async function access() {
  own ??= get("access");
  return own;
}
export const may = async (scope) => {
  const order = ["read", "replay", "admin"];
  return order.indexOf((await access()).scope) >= order.indexOf(scope);
};

/** What is shown where something could not be read. */
export const failed = (place, error) => {
  if (error.name === "AbortError") return;
  replace(place, h("div.stack", {}, h("h1", { tabindex: "-1" }, error.status === 404 ? "Not found" : "That did not work"),
    h("p.note.bad", {}, error.message), h("div", {}, button("Try again", () => location.reload()))));
};
