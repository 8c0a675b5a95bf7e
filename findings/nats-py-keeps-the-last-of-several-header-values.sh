#!/usr/bin/env bash
# PyPI nats-py 2.16.0 and npm @nats-io/transport-node 3.4.0 (against Debian's nats-server 2.9.10): a message whose header has two values.
# One would guess: both clients show both values, as NATS headers, like HTTP's, may have several, and the client for JavaScript has append() for it.
# True: Python's headers are a dict with the last value alone; nothing says that another was there. Whoever relays HTTP headers over NATS (two signatures while a key changes, several links, cookies) loses all but one in Python.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts @nats-io/transport-node@3.4.0 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check nats-py==2.16.0
apt-get download -qq nats-server >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/sbin/nats-server -a 127.0.0.1 -p "$port" >/dev/null 2>&1 & server=$!
cat > run.mjs <<'JS'
import { connect, headers } from '@nats-io/transport-node';
const client = await connect({ servers: process.argv[2] });
const own = client.subscribe('events', { max: 1 });
const sent = headers();
for (const one of ['v1,first', 'v1,second']) sent.append('webhook-signature', one);
client.publish('events', '{}', { headers: sent });
for await (const message of own) console.log(JSON.stringify(message.headers.values('webhook-signature')));
await client.close();
JS
cat > run.py <<'PY'
import asyncio, json, subprocess, sys
import nats
async def main():
    address = f"nats://127.0.0.1:{sys.argv[1]}"
    client = await nats.connect(address, max_reconnect_attempts=100, reconnect_time_wait=0.1)
    reader = await client.subscribe("events")
    await client.flush()
    javascript = json.loads(await asyncio.to_thread(subprocess.check_output, ["node", "run.mjs", address], timeout=60))
    python = (await reader.next_msg(timeout=10)).headers["webhook-signature"]
    await client.close()
    print(f"two values sent: @nats-io/transport-node 3.4.0 reads {javascript}, nats-py 2.16.0 {python!r}")
    return javascript == ["v1,first", "v1,second"] and python == "v1,second"
sys.exit(0 if asyncio.run(main()) else 1)
PY
venv/bin/python run.py "$port"
