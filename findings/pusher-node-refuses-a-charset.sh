#!/usr/bin/env bash
# npm pusher 5.3.4 and PyPI pusher 3.3.4: a webhook that is signed correctly, with content-type "application/json; charset=utf-8".
# One would guess: the signature covers the body, so isValid is about the body; a parameter of the media type changes nothing.
# True: in node isValid() is false, as for a forged one, because the header is compared with the bare "application/json"; Python takes it. Whoever relays, replays or tests webhooks with a client that adds the charset looks for a wrong secret.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
npm init -y >/dev/null; npm install --silent --no-fund --no-audit --ignore-scripts pusher@5.3.4 >/dev/null
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check pusher==3.3.4
cat > run.mjs <<'JS'
import { createHmac } from 'node:crypto';
import Pusher from 'pusher';
const pusher = new Pusher({ appId: '1', key: 'key', secret: 'secret', cluster: 'eu' });
const rawBody = '{"time_ms":1,"events":[]}';
const signature = createHmac('sha256', 'secret').update(rawBody).digest('hex');
console.log(JSON.stringify(['application/json', 'application/json; charset=utf-8'].map(type =>
  pusher.webhook({ headers: { 'x-pusher-key': 'key', 'x-pusher-signature': signature, 'content-type': type }, rawBody }).isValid())));
JS
cat > run.py <<'PY'
import hashlib, hmac, json, sys, time
from pusher import Pusher
body = json.dumps({"time_ms": int(time.time() * 1000), "events": []})
signature = hmac.new(b"secret", body.encode(), hashlib.sha256).hexdigest()
taken = Pusher("1", "key", "secret", cluster="eu").validate_webhook("key", signature, body) is not None
bare, charset = json.loads(sys.argv[1])
print(f"npm pusher 5.3.4: isValid() is {bare} with application/json, {charset} with a charset behind it; PyPI pusher 3.3.4, which does not look at it: {taken}")
sys.exit(0 if (bare, charset, taken) == (True, False, True) else 1)
PY
venv/bin/python run.py "$(node run.mjs)"
