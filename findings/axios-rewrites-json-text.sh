#!/usr/bin/env bash
# npm axios 1.21.1: a body that is text already, sent with content-type application/json.
# One would guess: text is sent as it is; only objects are serialised.
# True: text is trimmed, and text that is no JSON gets quotes around it, both only under application/json: the bytes that were signed are not those that are sent. Whoever signs a body that ends with a line break (a file's, a relay's) and sends it as text meets it; a Buffer goes out untouched.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts axios@1.21.1 >/dev/null
cat > run.mjs <<'JS'
import { createServer } from 'node:http';
import axios from 'axios';
const got = [];
const server = createServer(async (request, response) => {
  got.push(Buffer.concat(await request.toArray()).toString());
  response.end();
});
server.listen(0, '127.0.0.1', async () => {
  const send = (body, type) => axios.post(`http://127.0.0.1:${server.address().port}/`, body, { headers: { 'content-type': type } });
  const text = '{"paid": true}\n';
  await send(text, 'application/json');
  await send('ready', 'application/json');
  await send(text, 'application/cloudevents+json');
  await send(Buffer.from(text), 'application/json');
  server.close();
  console.log(`axios ${axios.VERSION}: ${JSON.stringify(text)} arrives as ${JSON.stringify(got[0])}, ready as ${got[1]}; under application/cloudevents+json as ${JSON.stringify(got[2])}; as a Buffer as ${JSON.stringify(got[3])}`);
  process.exit(got[0] === text.trim() && got[1] === '"ready"' && got[2] === text && got[3] === text ? 0 : 1);
});
JS
node run.mjs
