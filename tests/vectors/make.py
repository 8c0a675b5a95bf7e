"""Makes formula.json: requests of providers whose packages neither sign nor verify, signed by the
formula of their documentation with Python's own hmac. Needs no package: python3 make.py > formula.json
"""
import base64
import hmac
import json

AT = 1764000000
DATE = "2025-11-24T16:00:00Z"
KEY = b"a shared secret"
BODY = '{"type":"ticket.created","id":"evt_1","text":"\u00e9 and 1.50"}'


def tag(message, algorithm="sha256"):
    return hmac.new(KEY, message.encode(), algorithm).digest()


def b64(raw):
    return base64.b64encode(raw).decode()


vectors = []


def add(scheme, page, headers, body=BODY):
    origin = f"the formula of {page}, through Python's hmac"
    vectors.append({"scheme": scheme, "origin": origin, "secret": KEY.decode(), "at": AT,
                    "headers": headers, "body": body})


add("shopify", "shopify.dev", {"x-shopify-hmac-sha256": b64(tag(BODY))})
add("woocommerce", "developer.woocommerce.com", {"x-wc-webhook-signature": b64(tag(BODY))})
add("x", "docs.x.com", {"x-twitter-webhooks-signature": "sha256=" + b64(tag(BODY))})
add("zendesk", "developer.zendesk.com", {
    "x-zendesk-webhook-signature": b64(tag(DATE + BODY)),
    "x-zendesk-webhook-signature-timestamp": DATE,
})
add("zoom", "developers.zoom.us", {
    "x-zm-signature": "v0=" + tag(f"v0:{AT}:{BODY}").hex(),
    "x-zm-request-timestamp": str(AT),
})
add("twitch", "dev.twitch.tv", {
    "twitch-eventsub-message-id": "e76c6bd4-55c9-4987-8304-da1588d8988b",
    "twitch-eventsub-message-timestamp": DATE,
    "twitch-eventsub-message-signature":
        "sha256=" + tag("e76c6bd4-55c9-4987-8304-da1588d8988b" + DATE + BODY).hex(),
})
add("intercom", "developers.intercom.com", {"x-hub-signature": "sha1=" + tag(BODY, "sha1").hex()})
TOKEN = "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
add("mailgun", "documentation.mailgun.com", {}, json.dumps({
    "signature": {"timestamp": str(AT), "token": TOKEN, "signature": tag(str(AT) + TOKEN).hex()},
    "event-data": {"event": "opened", "id": "Ase7i2zsRYeDXztHGENqRA"},
}))
add("sentry", "docs.sentry.io", {"sentry-hook-signature": tag(BODY).hex()})
add("pagerduty", "developer.pagerduty.com", {
    "x-pagerduty-signature": "v1=" + "0" * 64 + ",v1=" + tag(BODY).hex(),
})
add("typeform", "typeform.com/developers", {"typeform-signature": "sha256=" + b64(tag(BODY))})
add("asana", "developers.asana.com", {"x-hook-signature": tag(BODY).hex()})
add("jira", "developer.atlassian.com", {"x-hub-signature": "sha256=" + tag(BODY).hex()})
add("docusign", "developers.docusign.com", {
    "x-docusign-signature-1": b64(b"\0" * 32),
    "x-docusign-signature-2": b64(tag(BODY)),
})

print(json.dumps(vectors, indent=2))
