#!/usr/bin/env bash
# npm express 5.3.0, PyPI aiohttp 3.14.5: the raw body of a request with content-encoding gzip, in express.raw() and await request.read().
# One would guess: raw is raw, the bytes that came and that the sender signed.
# True: both give the inflated bytes, while content-encoding and content-length still describe the others; fastify 5.12.8 with a parser for Buffers gives what came. Whoever checks a signature over a compressed body, or relays headers and body together, meets it: every small, uncompressed test passes.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts express@5.3.0 fastify@5.12.8 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check aiohttp==3.14.5
cat > run.mjs <<'JS'
import { gzipSync } from 'node:zlib';
import express from 'express';
import fastify from 'fastify';
const sent = gzipSync(JSON.stringify({ note: 'paid '.repeat(40) }));
const send = async base => (await fetch(base, { method: 'POST', body: sent, headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' } })).json();
const app = express();
app.post('/', express.raw({ type: 'application/json' }), ({ headers, body }, response) => response.json([body.length, Number(headers['content-length']), headers['content-encoding']]));
const quick = fastify();
quick.removeAllContentTypeParsers();
quick.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => done(null, body));
quick.post('/', async ({ headers, body }) => [body.length, Number(headers['content-length']), headers['content-encoding']]);
const byFastify = await send(await quick.listen({ port: 0, host: '127.0.0.1' }));
const server = app.listen(0, '127.0.0.1', async () => {
  const byExpress = await send(`http://127.0.0.1:${server.address().port}/`);
  console.log(JSON.stringify([sent.length, byExpress, byFastify]));
  process.exit(byExpress[0] > sent.length && byExpress[1] === sent.length && byExpress[2] === 'gzip' && byFastify[0] === sent.length ? 0 : 1);
});
JS
seen=$(node run.mjs)
cat > run.py <<'PY'
import asyncio, gzip, json, sys
import aiohttp
from aiohttp import web
sent = gzip.compress(json.dumps({"note": "paid " * 40}).encode())
async def take(request):
    return web.json_response([len(await request.read()), int(request.headers["content-length"]), request.headers["content-encoding"]])
async def main():
    app = web.Application()
    app.router.add_post("/", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        async with session.post(f"http://127.0.0.1:{port}/", data=sent, headers=headers) as answer:
            read, stated, encoding = await answer.json()
    await runner.cleanup()
    node_sent, by_express, by_fastify = json.loads(sys.argv[1])
    print(f"express 5.3.0: {by_express[0]} bytes of {node_sent}, headers say {by_express[1]}, {by_express[2]}; aiohttp 3.14.5: {read} bytes of {len(sent)}, headers say {stated}, {encoding}; fastify 5.12.8: {by_fastify[0]} of {node_sent}")
    return read > len(sent) and stated == len(sent) and encoding == "gzip"
sys.exit(0 if asyncio.run(main()) else 1)
PY
venv/bin/python run.py "$seen"
