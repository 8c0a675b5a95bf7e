#!/bin/sh
# npm @paddle/paddle-node-sdk 3.10.0
# Guess: like Stripe's, a signature header may hold one `h1` for each secret while a secret is changed, and the package takes
#   a request when any of them is right.
# True: its validator keeps the last `h1` it meets. `ts=…;h1=right;h1=other` is refused, `ts=…;h1=other;h1=right` is taken.
# Met by: whoever signs in Paddle's format with an old and a new secret during a change.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @paddle/paddle-node-sdk@3.10.0
cat > try.cjs <<'JS'
const { createHmac } = require('node:crypto');
const { Paddle, Environment } = require('@paddle/paddle-node-sdk');
const body = '{"event_type":"transaction.paid"}';
const ts = Math.floor(Date.now() / 1000);
const h1 = (secret) => `h1=${createHmac('sha256', secret).update(`${ts}:${body}`).digest('hex')}`;
const paddle = new Paddle('none', { environment: Environment.sandbox });
const takes = (...entries) =>
  paddle.webhooks.isSignatureValid(body, 'new-secret', [`ts=${ts}`, ...entries].join(';'));
(async () => {
  const seen = {
    alone: await takes(h1('new-secret')),
    first: await takes(h1('new-secret'), h1('old-secret')),
    last: await takes(h1('old-secret'), h1('new-secret')),
  };
  console.log('@paddle/paddle-node-sdk 3.10.0', seen);
  process.exit(seen.alone && !seen.first && seen.last ? 0 : 1);
})();
JS
node try.cjs
