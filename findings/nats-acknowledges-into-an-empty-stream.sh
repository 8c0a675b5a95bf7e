#!/usr/bin/env bash
# Debian's nats-server 2.9.10 with PyPI nats-py 2.16.0: JetStream, a stream with retention "interest", before its first consumer exists.
# One would guess: the acknowledgement with a stream and a sequence number means that the message is stored; or the server refuses what nobody is interested in.
# True: it is acknowledged, counted and thrown away at once: the stream is empty, and a consumer made a moment later with DeliverPolicy ALL gets nothing. Whoever starts the producer first, or whose last consumer was deleted for idleness, loses acknowledged events.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check nats-py==2.16.0
apt-get download -qq nats-server >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/sbin/nats-server -js -sd "$PWD/store" -a 127.0.0.1 -p "$port" >/dev/null 2>&1 & server=$!
cat > run.py <<'PY'
import asyncio, sys
import nats
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy, StreamConfig
async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", max_reconnect_attempts=100, reconnect_time_wait=0.1)
    js = client.jetstream()
    async def sent(retention):
        name = retention.value
        await js.add_stream(StreamConfig(name=name, subjects=[f"{name}.>"], retention=retention))
        ack = await js.publish(f"{name}.order", b"7")
        kept = (await js.stream_info(name)).state.messages
        reader = await js.pull_subscribe(f"{name}.>", "reader", config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL))
        try:
            return ack.seq, kept, len(await reader.fetch(1, timeout=1))
        except asyncio.TimeoutError:
            return ack.seq, kept, 0
    interest, limits = await sent(RetentionPolicy.INTEREST), await sent(RetentionPolicy.LIMITS)
    version = "{0.major}.{0.minor}.{0.patch}".format(client.connected_server_version)
    print(f"nats-server {version}: retention interest: acknowledged as number {interest[0]}, kept {interest[1]}, read later {interest[2]}; retention limits: number {limits[0]}, kept {limits[1]}, read later {limits[2]}")
    await client.close()
    return interest == (1, 0, 0) and limits == (1, 1, 1) and version == "2.9.10"
sys.exit(0 if asyncio.run(main()) else 1)
PY
venv/bin/python run.py "$port"
