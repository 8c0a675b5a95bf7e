#!/usr/bin/env bash
# Debian's nats-server 2.9.10 with PyPI nats-py 2.16.0: JetStream, two messages with the same Nats-Msg-Id on different subjects of one stream.
# One would guess: both are stored: they differ in subject and body, and an id is an id among its subject's messages.
# True: the second is thrown away as a duplicate of the first and acknowledged with the first one's number; only the field "duplicate" tells. Whoever takes the sender's event id as Nats-Msg-Id and puts several senders, tenants or destinations into one stream loses events, where two ids meet within two minutes or one event goes to two subjects.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check nats-py==2.16.0
apt-get download -qq nats-server >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/sbin/nats-server -js -sd "$PWD/store" -a 127.0.0.1 -p "$port" >/dev/null 2>&1 & server=$!
cat > run.py <<'PY'
import asyncio, sys
import nats
async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", max_reconnect_attempts=100, reconnect_time_wait=0.1)
    js = client.jetstream()
    await js.add_stream(name="events", subjects=["events.>"])
    first = await js.publish("events.shop", b'{"paid":true}', headers={"Nats-Msg-Id": "1001"})
    second = await js.publish("events.forum", b'{"post":"hello"}', headers={"Nats-Msg-Id": "1001"})
    kept = (await js.stream_info("events", subjects_filter=">")).state
    version = "{0.major}.{0.minor}.{0.patch}".format(client.connected_server_version)
    print(f"nats-server {version}: id 1001 on events.shop is number {first.seq}; on events.forum it is acknowledged as number {second.seq}, duplicate: {second.duplicate}; the stream holds {kept.messages}: {list(kept.subjects)}")
    await client.close()
    return (first.seq, second.seq, second.duplicate, kept.messages) == (1, 1, True, 1) and list(kept.subjects) == ["events.shop"] and version == "2.9.10"
sys.exit(0 if asyncio.run(main()) else 1)
PY
venv/bin/python run.py "$port"
