#!/usr/bin/env bash
# npm standardwebhooks 1.1.1: verify() with what the Fetch API gives: a body as Uint8Array, headers as Headers.
# One would guess: they are taken as a Buffer and a plain object are, or refused by the type.
# True: a Uint8Array is refused although Buffer is one, and a Headers object reads as "Missing required headers" with all three there. Receivers on Deno, Bun, Workers, Next.js or Hono meet it, and look for the fault at the sender.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit standardwebhooks@1.1.1 >/dev/null
cat > run.mjs <<'JS'
import { Webhook } from 'standardwebhooks';
const webhook = new Webhook(`whsec_${Buffer.alloc(32, 7).toString('base64')}`);
const [body, now] = ['{"paid":true}', new Date()];
const headers = { 'webhook-id': 'm1', 'webhook-timestamp': String(Math.floor(now / 1000)), 'webhook-signature': webhook.sign('m1', now, body) };
const told = (payload, headers) => { try { webhook.verify(payload, headers); return 'verified'; } catch (error) { return error.message; } };
const seen = [told(Buffer.from(body), headers), told(new TextEncoder().encode(body), headers), told(body, new Headers(headers)), told(body, Object.fromEntries(new Headers(headers)))];
console.log(`standardwebhooks 1.1.1: Buffer: ${seen[0]}; Uint8Array: ${seen[1]} Headers: ${seen[2]}; the same as an object: ${seen[3]}`);
process.exit(seen[0] === 'verified' && seen[1].startsWith('Expected payload') && seen[2] === 'Missing required headers' && seen[3] === 'verified' ? 0 : 1);
JS
node run.mjs
