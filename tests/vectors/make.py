"""Makes formula.json: requests that no provider publishes and no package makes or takes, signed by the
formula of the documentation with Python's own hmac; and Mailgun's, which its package must take.
pip install mailgun==1.10.0 && python3 make.py > formula.json
"""
import base64
import hmac
import json
from importlib.metadata import version
from urllib.parse import urlencode

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


TOKEN = "5e1f0c9ab47d26835e1f0c9ab47d26835e1f0c9ab47d268350"
SIGNATURE = tag(str(AT) + TOKEN).hex()
# 0: its clock is not this one.
assert SecurityGuard.verify_webhook(KEY, TOKEN, str(AT), SIGNATURE, 0)
assert not SecurityGuard.verify_webhook(KEY, TOKEN, str(AT + 1), SIGNATURE, 0)
add("mailgun", "", {}, json.dumps({
    "signature": {"timestamp": str(AT), "token": TOKEN, "signature": SIGNATURE},
    "event-data": {"event": "opened", "id": "hwOpenedSampleEvent001"},
}), kind="opened", id=TOKEN, origin=f"accepted by PyPI mailgun {version('mailgun')}")
# Its routes post forms, with the same three fields.
ROUTE = {"recipient": "a@example.com", "subject": "é & 1", "timestamp": str(AT), "token": TOKEN,
         "signature": SIGNATURE, "event": "opened"}
add("mailgun", "", {"content-type": "application/x-www-form-urlencoded"}, urlencode(ROUTE), kind="opened", id=TOKEN,
    origin=f"accepted by PyPI mailgun {version('mailgun')}, a route's form")
PARTS = "".join(f'--xYzZY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                for name, value in ROUTE.items())
ATTACHED = ('--xYzZY\r\nContent-Disposition: form-data; name="attachment-1"; filename="a.txt"\r\n'
            'Content-Type: text/plain\r\n\r\nsignature=1\r\n--xYzZY--\r\n')
add("mailgun", "", {"content-type": 'multipart/form-data; boundary="xYzZY"'}, PARTS + ATTACHED, kind="opened", id=TOKEN,
    origin=f"accepted by PyPI mailgun {version('mailgun')}, a route's form with an attachment")
# Two signatures, as while a secret changes.
add("pagerduty", "developer.pagerduty.com", {
    "x-pagerduty-signature": "v1=" + "0" * 64 + ",v1=" + tag(BODY).hex(),
})
add("docusign", "developers.docusign.com", {
    "x-docusign-signature-1": b64(b"\0" * 32),
    "x-docusign-signature-2": b64(tag(BODY)),
})
# Each active key has a header: there may be a hundred.
add("docusign", "developers.docusign.com", {
    **{f"x-docusign-signature-{n}": b64(bytes([n]) * 32) for n in range(1, 100)},
    "x-docusign-signature-100": b64(tag(BODY)),
})
# learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks: nothing is signed, each notification
# has the subscription's clientState.
STATE = {"subscriptionId": "c0a8f3d2-17b6-4e45-9c3a-5b2e8d7f6140", "clientState": KEY.decode(), "changeType": "updated"}
add("microsoft-graph", "", {}, json.dumps({"value": [STATE, {**STATE, "changeType": "created"}]}), kind="updated",
    origin="Microsoft's documentation: the state as it is")

print(json.dumps(vectors, indent=2))
