#!/usr/bin/env bash
# npm ioredis 6.0.0 and redis 6.3.1, PyPI redis 8.1.0 (against Debian's redis-server 7.0.15): XADD when the connection ends after the server took it and before its answer came.
# One would guess: the call fails, since nobody can know what became of it, and the caller decides whether to try again.
# True: ioredis and redis-py connect anew and send it once more by themselves: the stream holds the event twice, the call gives one id and no error. npm redis fails as guessed. Whoever appends to a stream, pushes to a list or counts with INCR across a failover meets it.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts ioredis@6.0.0 redis@6.3.1 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check redis==8.1.0
chmod 755 .; apt-get download -qq redis-server redis-tools liblzf1 libjemalloc2 liblua5.1-0 lua-cjson lua-bitop >/dev/null
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu
usr/bin/redis-server --version | grep -q 'v=7.0.15'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/bin/redis-server --bind 127.0.0.1 --port "$port" --save '' >/dev/null & server=$!
until usr/bin/redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
cat > run.py <<'PY'
import sys
import redis
try:
    redis.Redis(port=int(sys.argv[1])).xadd("redis-py", {"order": "7"})
    print("an id", end="")
except redis.ConnectionError as error:
    print(type(error).__name__, end="")
PY
cat > run.mjs <<'JS'
import { execFile } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { promisify } from 'node:util';
import Redis from 'ioredis';
import { createClient } from 'redis';
const port = Number(process.argv[2]);
const direct = new Redis(port);
// Passes everything on, but ends the connection where the answer to the first XADD would go.
const relay = () => new Promise(done => {
  let armed = true;
  const server = createServer(client => {
    const upstream = connect(port, '127.0.0.1');
    let ends = false;
    client.on('data', bytes => { if (armed && /xadd/i.test(bytes.toString('latin1'))) { armed = false; ends = true; } upstream.write(bytes); });
    upstream.on('data', bytes => { if (ends) { client.destroy(); upstream.destroy(); } else client.write(bytes); });
    for (const [one, other] of [[client, upstream], [upstream, client]]) one.on('error', () => {}).on('close', () => other.destroy());
  }).listen(0, '127.0.0.1', () => done(server.address().port));
});
const appended = async (name, call) => {
  const told = await call(await relay()).catch(error => error.message);
  return [/^\d+-\d+$/.test(told) ? 'an id' : told, await direct.xlen(name)];
};
const seen = [
  await appended('ioredis', port => new Redis(port).xadd('ioredis', '*', 'order', '7')),
  await appended('redis-py', async port => (await promisify(execFile)('venv/bin/python', ['run.py', port])).stdout),
  await appended('redis', async port => {
    const client = createClient({ url: `redis://127.0.0.1:${port}` }).on('error', () => {});
    await client.connect();
    return client.xAdd('redis', '*', { order: '7' });
  }),
];
console.log(`one XADD, its answer lost: ioredis 6.0.0 gives ${seen[0][0]}, entries: ${seen[0][1]}; redis-py 8.1.0 ${seen[1][0]}, entries: ${seen[1][1]}; npm redis 6.3.1 "${seen[2][0]}", entries: ${seen[2][1]}`);
process.exit(JSON.stringify(seen.slice(0, 2)) === '[["an id",2],["an id",2]]' && seen[2][0] !== 'an id' && seen[2][1] === 1 ? 0 : 1);
JS
node run.mjs "$port"
