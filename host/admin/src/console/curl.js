// An event or an attempt as a curl command. Whoever pastes it must send what was sent and nothing else: no character of
// it is a command, an option, a file's name or a pattern, in sh, bash, zsh and fish.
import { text } from "./text.js";

/** What stands between single quotes as itself in every shell, and is seen by whoever pastes it. */
const PLAIN = /^[ "#-&(-[\]-~]*$/;
/** Characters of one argument; a system takes some 128 KiB. */
const ARGUMENT = 32 * 1024;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function base64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(binary);
}

const unpacked = (bytes) => `printf %s ${base64(bytes)} | base64 -d`;

/** A value as one word of a shell. */
function quoted(value) {
  if (PLAIN.test(value) && value.length <= ARGUMENT) return `'${value}'`;
  return `"$(${unpacked(new TextEncoder().encode(value))})"`;
}

/** A URL's characters that are none are written as `%0A`; what a pattern means to curl is turned off. */
const address = (url) => quoted(url.replaceAll(/[^!#-&(-;=?-[\]_a-z~]/gu, (char) =>
  [...new TextEncoder().encode(char)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join("")));

/** A command that sends it again. `body` is bytes; `method` is the one that it came by. */
export function curl(url, headers, body, method = "POST") {
  const lines = [`curl --globoff --path-as-is --url ${address(url)}`];
  // With a body curl posts by itself.
  if (method !== "POST") lines.push(`  --request ${quoted(method)}`);
  const sent = headers.filter(([name]) => NAME.test(name));
  for (const [name, value] of sent) {
    // A name with nothing behind its colon would take the header away.
    lines.push(`  -H ${value.trim() === "" ? quoted(`${name};`) : quoted(`${name}: ${value}`)}`);
  }
  // Where none is told, curl makes one up.
  if (!sent.some(([name]) => name.toLowerCase() === "content-type")) lines.push("  -H 'content-type:'");
  const plain = text(body);
  if (plain !== null && PLAIN.test(plain) && plain.length <= ARGUMENT) return [...lines, `  --data-raw '${plain}'`].join(" \\\n");
  return `${unpacked(body)} | ${[...lines, "  --data-binary @-"].join(" \\\n")}`;
}
