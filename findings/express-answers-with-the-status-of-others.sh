#!/usr/bin/env bash
# npm express 5.3.0, fastify 5.12.8 and @octokit/webhooks 14.2.0, with axios 1.21.1: a webhook's handler calls another service and lets the error go up.
# One would guess: the sender gets a 500, as for any error that nobody caught, and tries again.
# True: all three read `status` off the error, and an axios error carries the other service's: a 404, 410 or 429 from a database or an API behind the receiver is answered to the webhook's sender, who disables the endpoint (410), gives the event up (404) or slows down (429). Octokit also passes a 202 on, so that a failed handler counts as success. Whoever answers webhooks in node and calls something meets it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts express@5.3.0 fastify@5.12.8 @octokit/webhooks@14.2.0 axios@1.21.1 >/dev/null
cat > run.mjs <<'JS'
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import { createNodeMiddleware, Webhooks } from '@octokit/webhooks';
import axios from 'axios';
import express from 'express';
import fastify from 'fastify';
process.env.NODE_ENV = 'test'; // express keeps its log to itself
console.error = () => {};
const listening = server => new Promise(done => server.listen(0, '127.0.0.1', () => done(`http://127.0.0.1:${server.address().port}`)));
const other = await listening(createServer((request, response) => { response.statusCode = Number(request.url.slice(1)); response.end(); }));
const handle = status => axios.post(`${other}/${status}`, {});

const app = express();
app.post('/:status', async (request, response) => { await handle(request.params.status); response.end(); });
const byExpress = await listening(createServer(app));

const quick = fastify();
quick.post('/:status', async request => { await handle(request.params.status); return ''; });
const byFastify = await quick.listen({ port: 0, host: '127.0.0.1' });

const log = { debug() {}, info() {}, warn() {}, error() {} };
const webhooks = new Webhooks({ secret: 'a secret', log });
webhooks.on('push', ({ payload }) => payload.status === 202 ? Promise.reject(Object.assign(new Error('still busy'), { status: 202 })) : handle(payload.status));
const byOctokit = await listening(createServer(createNodeMiddleware(webhooks)));

const statuses = [200, 404, 410, 429];
const plain = base => Promise.all(statuses.map(async status => (await fetch(`${base}/${status}`, { method: 'POST' })).status));
const github = async status => {
  const body = JSON.stringify({ status });
  const signature = `sha256=${createHmac('sha256', 'a secret').update(body).digest('hex')}`;
  const headers = { 'content-type': 'application/json', 'x-github-event': 'push', 'x-github-delivery': '1', 'x-hub-signature-256': signature };
  return (await fetch(`${byOctokit}/api/github/webhooks`, { method: 'POST', headers, body })).status;
};
const seen = { express: await plain(byExpress), fastify: await plain(byFastify), octokit: await Promise.all([...statuses, 202].map(github)) };
console.log(`express 5.3.0, fastify 5.12.8, @octokit/webhooks 14.2.0: another service's ${statuses} become ${seen.express}, ${seen.fastify} and ${seen.octokit.slice(0, -1)}; a handler's error with status 202 becomes octokit's ${seen.octokit.at(-1)}`);
process.exit([seen.express, seen.fastify, seen.octokit.slice(0, -1)].every(one => one.join() === statuses.join()) && seen.octokit.at(-1) === 202 ? 0 : 1);
JS
node run.mjs
