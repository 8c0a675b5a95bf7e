#!/usr/bin/env bash
# Debian's mosquitto 2.0.11 with PyPI paho-mqtt 2.2.0 (MQTT 5): QoS 1 to a subscriber that is away, whose session is kept for an hour.
# One would guess: PUBACK "Success" means that the broker keeps the message for that session; where it can't, it says 0x97 "quota exceeded", as it says "no matching subscribers" where nobody listens.
# True: beyond max_queued_messages, 1,000 unless set, each further message is acknowledged with "Success" and dropped; the newest are the ones that are missing. Whoever counts on QoS 1 and a kept session across a deployment of the subscriber meets it.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check paho-mqtt==2.2.0
apt-get download -qq mosquitto libwrap0 libdlt2 libwebsockets17 libcjson1 libev4 >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu:$PWD/lib/$(uname -m)-linux-gnu
{ usr/sbin/mosquitto -h || true; } | grep -q 'version 2.0.11'
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" > mosquitto.conf
usr/sbin/mosquitto -c mosquitto.conf >/dev/null 2>&1 & server=$!
cat > run.py <<'PY'
import collections, queue, sys, threading, time
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
port, keep = int(sys.argv[1]), Properties(PacketTypes.CONNECT)
keep.SessionExpiryInterval = 3600
def connected(name, clean, **handlers):
    client, ready = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTv5), threading.Event()
    for handler, does in handlers.items():
        setattr(client, handler, does)
    client.on_connect = lambda *_: ready.set()
    for _ in range(100):
        try:
            client.connect("127.0.0.1", port, clean_start=clean, properties=keep)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    client.loop_start()
    assert ready.wait(10)
    return client
subscribed = threading.Event()
away = connected("reader", True, on_subscribe=lambda *_: subscribed.set())
away.subscribe("orders", 1)
subscribed.wait(10)
away.disconnect()
away.loop_stop()
answers = queue.Queue()
sender = connected("sender", True, on_publish=lambda client, data, mid, reason, properties: answers.put(str(reason)))
for number in range(1500):
    sender.publish("orders", str(number), qos=1)
reasons = collections.Counter(answers.get(timeout=20) for _ in range(1500))
sender.publish("nobody", "", qos=1)
unheard = answers.get(timeout=20)
got = queue.Queue()
connected("reader", False, on_message=lambda client, data, message: got.put(int(message.payload)))
kept = []
try:
    while True:
        kept.append(got.get(timeout=3))
except queue.Empty:
    pass
print(f"mosquitto 2.0.11: 1500 sent, acknowledged {dict(reasons)}; the kept session gets {len(kept)}, {kept[0]} to {kept[-1]}; where nobody listens: {unheard}")
sys.exit(0 if reasons == {"Success": 1500} and kept == list(range(1000)) and unheard == "No matching subscribers" else 1)
PY
venv/bin/python run.py "$port"
