#!/usr/bin/env bash
# npm cloudevents 10.0.0: HTTP.toEvent of a structured request whose body is a Buffer.
# One would guess: the sender's event, or an error, since the bytes are a valid event.
# True: an event with a new random id, without type and source, its bytes spread over attributes "0", "1", …; no error. Whoever reads bodies as bytes (express.raw, Fastify, Lambda) and deduplicates by id meets it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit cloudevents@10.0.0 >/dev/null
cat > run.mjs <<'JS'
import { HTTP } from 'cloudevents';
const text = JSON.stringify({ specversion: '1.0', id: 'order-7', source: '/shop', type: 'order.paid', data: { paid: true } });
const read = body => HTTP.toEvent({ headers: { 'content-type': 'application/cloudevents+json' }, body });
const [asText, asBytes, again] = [read(text), read(Buffer.from(text)), read(Buffer.from(text))];
console.log(`cloudevents 10.0.0: text gives id ${asText.id}, type ${asText.type}; bytes give type ${asBytes.type}, an id of its own: ${asBytes.id !== 'order-7'}, another each time: ${asBytes.id !== again.id}`);
const asStated = asText.id === 'order-7' && asText.type === 'order.paid'
  && asBytes.id !== 'order-7' && asBytes.id !== again.id && asBytes.type === undefined && asBytes['0'] === 123;
process.exit(asStated ? 0 : 1);
JS
node run.mjs
