#!/bin/sh
# npm standardwebhooks 1.1.1
# Guess: a Buffer with the raw body is verified over its bytes, as the specification has it.
# True: it is made text first, and a byte that is no UTF-8 becomes another character: the right HMAC over the bytes is refused.
# Met by: receivers of webhooks with binary bodies (images, protobuf, gzip), whoever signs them.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts standardwebhooks@1.1.1
cat > try.cjs <<'JS'
const { createHmac } = require('node:crypto');
const { Webhook } = require('standardwebhooks');
const key = Buffer.alloc(24, 1);
const webhook = new Webhook(key.toString('base64'));
const at = new Date();
const seconds = Math.floor(at.getTime() / 1000);
const takes = (body) => {
  const signed = Buffer.concat([Buffer.from(`msg_1.${seconds}.`), body]);
  const signature = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  const headers = { 'webhook-id': 'msg_1', 'webhook-timestamp': `${seconds}`, 'webhook-signature': signature };
  try { webhook.verify(body, headers, { jsonParse: false }); return true; } catch { return false; }
};
const seen = { text: takes(Buffer.from('plain text')), bytes: takes(Buffer.from([0x08, 0x96, 0x01])) };
console.log('standardwebhooks 1.1.1', seen);
process.exit(seen.text && !seen.bytes ? 0 : 1);
JS
node try.cjs
