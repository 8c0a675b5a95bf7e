#!/usr/bin/env bash
# PyPI hubspot-api-client 12.0.0: Signature.is_valid with the body as bytes, as Django's request.body and Flask's get_data() give it.
# One would guess: bytes are what was signed, so they verify, or the type is refused with an error.
# True: the bytes' Python notation (b'…') is put into what is signed; the answer is False for every genuine request, without an error. Whoever passes the raw body looks for a wrong secret.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
python3 -m venv venv; venv/bin/pip install --quiet --disable-pip-version-check hubspot-api-client==12.0.0
cat > run.py <<'PY'
import base64, hashlib, hmac, sys, time
from hubspot.utils.signature import Signature
body, url, now = '{"objectId":1}', "https://hooks.example.com/in/crm", str(int(time.time() * 1000))
def signed(text):
    return base64.b64encode(hmac.new(b"secret", f"POST{url}{text}{now}".encode(), hashlib.sha256).digest()).decode()
def fits(signature, payload):
    return Signature.is_valid(signature, "secret", payload, url, "POST", "v3", now)
as_text, as_bytes = fits(signed(body), body), fits(signed(body), body.encode())
notation = fits(signed(str(body.encode())), body.encode())
print(f"hubspot-api-client 12.0.0: text {as_text}, bytes {as_bytes}, bytes against a signature of their notation {notation}")
sys.exit(0 if (as_text, as_bytes, notation) == (True, False, True) else 1)
PY
venv/bin/python run.py
