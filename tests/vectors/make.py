"""Makes formula.json: requests that no provider publishes and no package makes or takes, signed by the
formula of the documentation with Python's own hmac; and Mailgun's, which its package must take.
pip install mailgun==1.10.0 && python3 make.py > formula.json
"""
import base64
import hmac
import json
from importlib.metadata import version

from mailgun.security import SecurityGuard

AT = 1764000000
KEY = b"a shared secret"
BODY = '{"type":"ticket.created","id":"evt_1","text":"\u00e9 and 1.50"}'


def tag(message, algorithm="sha256"):
    return hmac.new(KEY, message.encode(), algorithm).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


vectors = []


def add(scheme, page, headers, body=BODY, origin=None, **more):
    origin = origin or f"the formula of {page}, through Python's hmac"
    vectors.append({"scheme": scheme, "origin": origin, "secret": KEY.decode(), "at": AT,
                    "headers": headers, "body": body, **more})


TOKEN = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
SIGNATURE = tag(str(AT) + TOKEN).hex()
# 0: its clock is not this one.
assert SecurityGuard.verify_webhook(KEY, TOKEN, str(AT), SIGNATURE, 0)
assert not SecurityGuard.verify_webhook(KEY, TOKEN, str(AT + 1), SIGNATURE, 0)
add("mailgun", "", {}, json.dumps({
    "signature": {"timestamp": str(AT), "token": TOKEN, "signature": SIGNATURE},
    "event-data": {"event": "opened", "id": "Ase7i2zsRYeDXztHGENqRA"},
}), kind="opened", id=TOKEN, origin=f"accepted by PyPI mailgun {version('mailgun')}")
# Two signatures, as while a secret changes.
add("pagerduty", "developer.pagerduty.com", {
    "x-pagerduty-signature": "v1=" + "0" * 64 + ",v1=" + tag(BODY).hex(),
})
add("docusign", "developers.docusign.com", {
    "x-docusign-signature-1": b64(b"\0" * 32),
    "x-docusign-signature-2": b64(tag(BODY)),
})

print(json.dumps(vectors, indent=2))
