#!/usr/bin/env bash
# PyPI cloudevents 2.2.0: reading an event that has no time.
# One would guess: the event has no time, since the attribute is optional and nobody set it.
# True: it has the time of the reading, another one at each reading, and writes it on as if the producer had said so. Whoever orders, ages or compares events by time, or relays them unchanged, meets it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
cat > run.py <<'PY'
import sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event
headers = {"ce-id": "1", "ce-source": "/shop", "ce-type": "paid", "ce-specversion": "1.0", "content-type": "text/plain"}
first, second = (from_http_event(HTTPMessage(headers=headers, body=b"x")) for _ in range(2))
relayed = to_binary_event(first).headers
print(f"cloudevents 2.2.0: ce-time sent: no; read: {first.get_time() is not None}, twice the same: {first.get_time() == second.get_time()}, relayed with ce-time: {'ce-time' in relayed}")
sys.exit(0 if first.get_time() and first.get_time() != second.get_time() and "ce-time" in relayed else 1)
PY
venv/bin/python run.py
