#!/usr/bin/env bash
# npm @workos-inc/node 8.13.0: webhooks.verifyHeader, the check of a webhook's signature.
# One would guess: it checks the bytes that came, and wants the raw body as text or Buffer, as every other provider's package does.
# True: it wants the parsed body and checks JSON.stringify of it: text and Buffer never fit, and a body with 1.0, a space, an escaped letter or number-like member names out of order never fits either, though signed correctly. Receivers behind a relay or a test sender that writes JSON its own way meet it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit @workos-inc/node@8.13.0 >/dev/null
cat > run.mjs <<'JS'
import { createHmac } from 'node:crypto';
import { WorkOS } from '@workos-inc/node';
const [workos, secret, time] = [new WorkOS('key'), 'secret', Date.now()];
const fits = async (body, payload) => {
  const sigHeader = `t=${time}, v1=${createHmac('sha256', secret).update(`${time}.${body}`).digest('hex')}`;
  try { return await workos.webhooks.verifyHeader({ payload, sigHeader, secret }); } catch (error) { return error.constructor.name; }
};
const plain = '{"id":"e","data":{}}';
const seen = [await fits(plain, JSON.parse(plain)), await fits(plain, plain), await fits(plain, Buffer.from(plain))];
const same = ['{"n":1.0}', '{"id": "e"}', '{"name":"Zo\\u00eb"}', '{"2":1,"1":2}'];
const others = await Promise.all(same.map(body => fits(body, JSON.parse(body))));
console.log(`@workos-inc/node 8.13.0: parsed: ${seen[0]}; text: ${seen[1]}; Buffer: ${seen[2]}; ${same.map((body, n) => `${body} ${others[n]}`).join('; ')}`);
const refused = 'SignatureVerificationException';
process.exit(seen[0] === true && [...seen.slice(1), ...others].every(one => one === refused) ? 0 : 1);
JS
node run.mjs
