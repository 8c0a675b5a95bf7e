#!/usr/bin/env bash
# Debian's nats-server 2.9.10 with PyPI nats-py 2.16.0: JetStream, a stream with retention "workqueue" and a consumer with max_deliver 2.
# One would guess: a message that used up its deliveries leaves the work queue (dropped, or moved somewhere), or still shows as pending.
# True: it stays in the stream for ever and no consumer gets it: pending 0, waiting for an acknowledgement 0, messages 1. A graph of the consumer's lag says that all is done; a graph of the stream's size never comes down; there is no dead letter unless somebody listens to an advisory. Whoever caps deliveries of poison messages meets it.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check nats-py==2.16.0
apt-get download -qq nats-server >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
usr/sbin/nats-server -js -sd "$PWD/store" -a 127.0.0.1 -p "$port" >/dev/null 2>&1 & server=$!
cat > run.py <<'PY'
import asyncio, sys
import nats
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig
async def main():
    client = await nats.connect(f"nats://127.0.0.1:{sys.argv[1]}", max_reconnect_attempts=100, reconnect_time_wait=0.1)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="jobs", subjects=["jobs.>"], retention=RetentionPolicy.WORK_QUEUE))
    await js.publish("jobs.send", b"poison")
    reader = await js.pull_subscribe("jobs.>", "workers", config=ConsumerConfig(max_deliver=2, ack_wait=1))
    deliveries = 0
    for _ in range(2):
        for message in await reader.fetch(1, timeout=5):
            deliveries += 1
            await message.nak()
    try:
        third = len(await reader.fetch(1, timeout=2))
    except asyncio.TimeoutError:
        third = 0
    consumer, stream = await js.consumer_info("jobs", "workers"), await js.stream_info("jobs")
    seen = (deliveries, third, consumer.num_pending, consumer.num_ack_pending, stream.state.messages)
    version = "{0.major}.{0.minor}.{0.patch}".format(client.connected_server_version)
    print(f"nats-server {version}: delivered {seen[0]} times, then {seen[1]}; the consumer: {seen[2]} pending, {seen[3]} waiting for an acknowledgement; the work queue: {seen[4]} message")
    await client.close()
    return seen == (2, 0, 0, 0, 1) and version == "2.9.10"
sys.exit(0 if asyncio.run(main()) else 1)
PY
venv/bin/python run.py "$port"
