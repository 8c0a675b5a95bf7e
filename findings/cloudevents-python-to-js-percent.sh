#!/usr/bin/env bash
# PyPI cloudevents 2.2.0 and npm cloudevents 10.0.0: attributes of binary mode between two SDKs of one project.
# One would guess: what the one writes the other reads, at least for text such as "Order 7".
# True: Python writes the space as %20 (as the HTTP binding's text says), JavaScript neither decodes what it reads nor encodes what it writes: the subject arrives as "Order%207", and a subject with a euro sign can't be sent by node's http at all. Whoever routes or deduplicates by subject across languages meets it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0
npm init -y >/dev/null; npm install --silent --no-fund --no-audit cloudevents@10.0.0 >/dev/null
cat > send.py <<'PY'
import json
from cloudevents.core.bindings.http import to_binary_event
from cloudevents.core.v1.event import CloudEvent
names = {"id": "1", "source": "/shop", "type": "paid", "specversion": "1.0", "subject": "Order 7", "datacontenttype": "text/plain"}
print(json.dumps(to_binary_event(CloudEvent(names, "x")).headers))
PY
venv/bin/python send.py > headers.json
cat > read.mjs <<'JS'
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { CloudEvent, HTTP } from 'cloudevents';
const headers = JSON.parse(readFileSync('headers.json', 'utf8'));
const subject = HTTP.toEvent({ headers, body: 'x' }).subject;
const own = HTTP.binary(new CloudEvent({ id: '1', source: '/shop', type: 'paid', subject: 'Preis €', datacontenttype: 'text/plain', data: 'x' })).headers;
let refused = 'none';
try { http.request({ host: '127.0.0.1', port: 9, headers: own }).on('error', () => {}).destroy(); } catch (error) { refused = error.code; }
console.log(`cloudevents 2.2.0 (Python) writes ${headers['ce-subject']}; 10.0.0 (JavaScript) reads "${subject}", writes "${own['ce-subject']}", and node's http says ${refused}`);
process.exit(headers['ce-subject'] === 'Order%207' && subject === 'Order%207' && own['ce-subject'] === 'Preis €' && refused === 'ERR_INVALID_CHAR' ? 0 : 1);
JS
node read.mjs
