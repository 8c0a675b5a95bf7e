#!/usr/bin/env bash
# npm @octokit/webhooks 14.2.0: createNodeMiddleware with a handler that takes longer than nine seconds and then fails.
# One would guess: the answer waits for the handler, or the sender runs into its own time limit and counts a failure.
# True: after nine seconds it answers 202, a success; what the handler throws later changes nothing, so no sender ever tries again. Whoever does real work in the handler and relies on the sender's retries or redelivery list meets it, on slow days only.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts @octokit/webhooks@14.2.0 >/dev/null
cat > run.mjs <<'JS'
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { createNodeMiddleware, Webhooks } from '@octokit/webhooks';
console.error = () => {};
const webhooks = new Webhooks({ secret: 'a secret' });
let failed;
const failure = new Promise(done => { failed = done; });
webhooks.on('push', async () => { await new Promise(done => setTimeout(done, 9500)); failed(performance.now()); throw new Error('the database went away'); });
webhooks.on('ping', async () => { throw new Error('the database went away'); });
const server = createServer(createNodeMiddleware(webhooks)).listen(0, '127.0.0.1', async () => {
  const send = async event => {
    const body = '{}';
    const signature = `sha256=${createHmac('sha256', 'a secret').update(body).digest('hex')}`;
    const headers = { 'content-type': 'application/json', 'x-github-event': event, 'x-github-delivery': '1', 'x-hub-signature-256': signature };
    return (await fetch(`http://127.0.0.1:${server.address().port}/api/github/webhooks`, { method: 'POST', headers, body })).status;
  };
  const atOnce = await send('ping');
  const late = await send('push');
  const answered = performance.now();
  const before = answered < await failure;
  console.log(`@octokit/webhooks 14.2.0: a handler that fails at once gives ${atOnce}; one that fails after 9.5 s gives ${late}, before it failed: ${before}`);
  process.exit(atOnce === 500 && late === 202 && before ? 0 : 1);
});
JS
node run.mjs
