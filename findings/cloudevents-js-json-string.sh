#!/usr/bin/env bash
# npm cloudevents 10.0.0: HTTP.binary of an event whose datacontenttype is application/json and whose data is a string.
# One would guess: the body is the JSON string, "ready" with its quotes, since objects are serialised too.
# True: the body is the bare text, which is not JSON, under content-type application/json; its own reader takes it silently, every JSON parser fails. Whoever sends a status or an id as JSON data meets it.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit cloudevents@10.0.0 >/dev/null
cat > run.mjs <<'JS'
import { CloudEvent, HTTP } from 'cloudevents';
const made = data => HTTP.binary(new CloudEvent({ id: '1', source: '/shop', type: 'state', datacontenttype: 'application/json', data }));
const [object, text] = [made({ state: 'ready' }), made('ready')];
const own = HTTP.toEvent(text).data;
let parsed = 'JSON';
try { JSON.parse(text.body); } catch (error) { parsed = error.name; }
console.log(`cloudevents 10.0.0: an object is sent as ${object.body}, a string as ${text.body} (${text.headers['content-type']}); its own reader gives ${own}, JSON.parse a ${parsed}`);
process.exit(object.body === '{"state":"ready"}' && text.body === 'ready' && own === 'ready' && parsed === 'SyntaxError' ? 0 : 1);
JS
node run.mjs
