#!/usr/bin/env bash
# npm box-node-sdk 10.12.0: WebhooksManager.validateMessage, whose time window is ten minutes.
# One would guess: a stamp a few seconds ahead is taken too, as Stripe's, Slack's and Standard Webhooks' packages take it: clocks differ.
# True: ten minutes back, none ahead: a request that is stamped three seconds ahead of the receiver's clock gives false, without a reason, as a forged one does. A receiver whose clock is a few seconds slow refuses every delivery, and a retry is stamped anew.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts box-node-sdk@10.12.0 >/dev/null
cat > run.mjs <<'JS'
import { createHmac } from 'node:crypto';
import { createRequire } from 'node:module';
const { WebhooksManager } = createRequire(import.meta.url)('box-node-sdk/managers/webhooks');
const taken = seconds => {
  const time = new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d+/, '');
  const signature = createHmac('sha256', 'key').update(`{}${time}`).digest('base64');
  return WebhooksManager.validateMessage('{}', { 'box-delivery-timestamp': time, 'box-signature-version': '1', 'box-signature-algorithm': 'HmacSHA256', 'box-signature-primary': signature }, 'key');
};
const [old, now, ahead] = [await taken(-590), await taken(0), await taken(3)];
console.log(`box-node-sdk 10.12.0: signed 590 s ago: ${old}; now: ${now}; 3 s ahead: ${ahead}`);
process.exit(old && now && !ahead ? 0 : 1);
JS
node run.mjs
