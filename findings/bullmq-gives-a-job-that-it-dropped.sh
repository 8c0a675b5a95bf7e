#!/usr/bin/env bash
# npm bullmq 6.7.0 (with ioredis 6.0.0 against Debian's redis-server 7.0.15): Queue.add with a jobId that exists already, also of a job that is done.
# One would guess: an error, null, or the job that exists; and a job that is done does not stand in the way of a new one.
# True: add gives a Job with the new data and the id, as if it had been queued; nothing was, the data is the old one's, and no worker ever runs it, as long as the finished job is kept (which is for ever unless removeOnComplete says otherwise). Whoever takes the event's id as jobId and sends an event again on purpose, or reads job.data after add, meets it.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts bullmq@6.7.0 ioredis@6.0.0 >/dev/null
chmod 755 .; apt-get download -qq redis-server redis-tools liblzf1 libjemalloc2 liblua5.1-0 lua-cjson lua-bitop >/dev/null
for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/bin/redis-server --bind 127.0.0.1 --port "$port" --save '' >/dev/null & server=$!
until usr/bin/redis-cli -p "$port" ping >/dev/null 2>&1; do sleep 0.1; done
cat > run.mjs <<'JS'
import { once } from 'node:events';
import { Queue, Worker } from 'bullmq';
const connection = { host: '127.0.0.1', port: Number(process.argv[2]) };
const queue = new Queue('deliveries', { connection });
const ran = [];
await queue.add('send', { amount: 1 }, { jobId: 'order-7' });
const waiting = await queue.add('send', { amount: 2 }, { jobId: 'order-7' });
const worker = new Worker('deliveries', async job => { ran.push(job.data.amount); }, { connection });
await once(worker, 'completed');
const again = await queue.add('send', { amount: 3 }, { jobId: 'order-7' });
await queue.add('send', { amount: 4 }, { jobId: 'order-8' });
await once(worker, 'completed');
const stored = (await queue.getJob('order-7')).data.amount;
console.log(`bullmq 6.7.0: added amounts 1, 2, 3 under one id: add gave ${waiting.id} with ${waiting.data.amount} and ${again.id} with ${again.data.amount}; stored is ${stored}; run were ${ran} (4 has another id)`);
process.exit(waiting.data.amount === 2 && again.data.amount === 3 && again.id === 'order-7' && stored === 1 && ran.join() === '1,4' ? 0 : 1);
JS
node run.mjs "$port"
