#!/usr/bin/env bash
# PyPI paho-mqtt 2.2.0 (against Debian's mosquitto 2.0.11): publish with QoS 1 while there is no connection.
# One would guess: rc MQTT_ERR_NO_CONN means that the message is not taken, so the caller keeps it and publishes it again later.
# True: it is queued and goes out with the next connection, while its rc says "not connected" for ever, and is_published() and wait_for_publish() raise even after the broker's acknowledgement. A caller that tries again on rc != 0 has it delivered twice; with QoS 0 it is really lost, under the same rc.
set -euo pipefail
dir=$(mktemp -d); server=; trap '[ -z "$server" ] || kill "$server"; rm -rf "$dir"' EXIT; cd "$dir"; chmod 755 .
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check paho-mqtt==2.2.0
apt-get download -qq mosquitto libwrap0 libdlt2 libwebsockets17 libcjson1 libev4 >/dev/null; for package in *.deb; do dpkg -x "$package" .; done
export LD_LIBRARY_PATH=$PWD/usr/lib/$(uname -m)-linux-gnu:$PWD/lib/$(uname -m)-linux-gnu
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" > mosquitto.conf
usr/sbin/mosquitto -c mosquitto.conf >/dev/null 2>&1 & server=$!
cat > run.py <<'PY'
import queue, sys, threading, time
from paho.mqtt.client import CallbackAPIVersion, Client, error_string
port, got, ready = int(sys.argv[1]), queue.Queue(), threading.Event()
def connected(client):
    for _ in range(100):
        try:
            client.connect("127.0.0.1", port)
            break
        except ConnectionRefusedError:
            time.sleep(0.1)
    client.loop_start()
reader = Client(CallbackAPIVersion.VERSION2)
reader.on_message = lambda client, data, message: got.put(message.payload.decode())
reader.on_connect = lambda client, *_: client.subscribe("orders", 1)
reader.on_subscribe = lambda *_: ready.set()
connected(reader)
ready.wait(10)
sender, acknowledged = Client(CallbackAPIVersion.VERSION2), threading.Event()
sender.on_publish = lambda *_: acknowledged.set()
sent = sender.publish("orders", "at least once", qos=1)
first = sent.rc
sender.publish("orders", "at most once", qos=0)
connected(sender)
acknowledged.wait(10)
arrived = [got.get(timeout=10)]
sender.publish("orders", "the end", qos=1)
while arrived[-1] != "the end":
    arrived.append(got.get(timeout=10))
try:
    told = sent.is_published()
except RuntimeError as error:
    told = type(error).__name__
print(f'paho-mqtt 2.2.0: publish says "{error_string(first)}"; arrived: {arrived[:-1]}, acknowledged: {acknowledged.is_set()}; is_published() then: {told}')
sys.exit(0 if first == 4 and arrived[:-1] == ["at least once"] and told == "RuntimeError" else 1)
PY
venv/bin/python run.py "$port"
