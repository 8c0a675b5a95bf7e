#!/usr/bin/env bash
# npm @linear/sdk 98.0.0: LinearWebhookClient with a genuine request that Linear sends again after an hour.
# One would guess: taken, since Linear's own guide names retries after a minute, an hour and six hours, and the signature is right.
# True: an error, because the signed body holds the first attempt's webhookTimestamp and the package takes 60 s; leaving the time away from the header helps nothing, it is read from the body. Whoever was down for more than a minute and relies on the retries meets it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit @linear/sdk@98.0.0 >/dev/null
cat > run.mjs <<'JS'
import { createHmac } from 'node:crypto';
import { LinearWebhookClient } from '@linear/sdk/webhooks';
const client = new LinearWebhookClient('a secret');
const sent = seconds => {
  const body = Buffer.from(JSON.stringify({ type: 'Issue', action: 'update', webhookTimestamp: Date.now() - seconds * 1000 }));
  const signature = createHmac('sha256', 'a secret').update(body).digest('hex');
  try { return client.parseVerifiedPayload(body, signature).type; } catch (error) { return `${error.name}: ${error.message}`; }
};
const [first, again] = [sent(1), sent(3660)];
console.log(`@linear/sdk 98.0.0: the first attempt gives ${first}; the same request an hour later: ${again}`);
process.exit(first === 'Issue' && /^Error/.test(again) ? 0 : 1);
JS
node run.mjs
