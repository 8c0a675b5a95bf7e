//! Providers that sign the body, or fields of it, and no time.
use super::*;
use Encoding::{Base64, Hex};

/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>
pub static GITHUB: Preset = Preset {
    name: "github",
    title: "GitHub",
    proof: sha256(one(&["x-hub-signature-256"], "sha256="), &[Part::Body], Hex),
    kind: Some(Place::Header(&["x-github-event"])),
    id: Some(Place::Header(&["x-github-delivery"])),
    // <https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap>
    max_body: Some(LARGE),
    example: "push",
    ..BASE
};

/// <https://support.atlassian.com/bitbucket-cloud/docs/manage-webhooks/>
pub static BITBUCKET: Preset = Preset {
    name: "bitbucket",
    title: "Bitbucket",
    proof: sha256(one(&["x-hub-signature"], "sha256="), &[Part::Body], Hex),
    kind: Some(Place::Header(&["x-event-key"])),
    id: Some(Place::Header(&["x-request-uuid"])),
    handshake: Handshake::Bitbucket,
    success: OK,
    example: "repo:push",
    ..BASE
};

/// <https://shopify.dev/docs/apps/build/webhooks/verify-deliveries>, which compares deliveries by
/// the webhook's id: the event's is the same in all subscriptions that it reaches.
pub static SHOPIFY: Preset = Preset {
    name: "shopify",
    title: "Shopify",
    // What it calls events has the same headers without `x-`.
    proof: sha256(
        one(&["x-shopify-hmac-sha256", "shopify-hmac-sha256"], ""),
        &[Part::Body],
        Base64,
    ),
    kind: Some(Place::Header(&["x-shopify-topic", "shopify-topic"])),
    id: Some(Place::Header(&["x-shopify-webhook-id", "shopify-webhook-id"])),
    example: "orders/create",
    ..BASE
};

/// <https://developer.woocommerce.com/docs/best-practices/urls-and-routing/webhooks/>
pub static WOOCOMMERCE: Preset = Preset {
    name: "woocommerce",
    title: "WooCommerce",
    proof: sha256(one(&["x-wc-webhook-signature"], ""), &[Part::Body], Base64),
    kind: Some(Place::Header(&["x-wc-webhook-topic"])),
    id: Some(Place::Header(&["x-wc-webhook-delivery-id"])),
    handshake: Handshake::WooCommerce,
    example: "order.created",
    ..BASE
};

/// <https://www.twilio.com/docs/usage/webhooks/webhooks-security>
pub static TWILIO: Preset = Preset {
    name: "twilio",
    title: "Twilio",
    proof: Proof::Signed(Signed {
        signature: one(&["x-twilio-signature"], ""),
        message: &[Part::TwilioUrl, Part::TwilioForm],
        algorithm: Algorithm::Sha1,
        // As requests that are signed with a shared key say.
        other: Some(OtherAlgorithm {
            header: "x-twilio-webhooks-signature-settings",
            usual: "HMAC_SHA1",
            name: "HMAC_SHA256",
            algorithm: Algorithm::Sha256,
        }),
        encoding: Base64,
    }),
    id: Some(Place::Header(&["i-twilio-idempotency-token"])),
    success: OK,
    // Every webhook of a number may be set to GET; the URL is signed in any case.
    methods: &["POST", "GET"],
    ..BASE
};

/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>
pub static META: Preset = Preset {
    name: "meta",
    title: "Meta",
    proof: sha256(one(&["x-hub-signature-256"], "sha256="), &[Part::Body], Hex),
    kind: Some(Place::Json("/object")),
    handshake: Handshake::Hub,
    success: OK,
    example: "page",
    ..BASE
};

/// <https://docs.x.com/x-api/webhooks/introduction>
pub static X: Preset = Preset {
    name: "x",
    title: "X (Twitter)",
    proof: sha256(one(&["x-twitter-webhooks-signature"], "sha256="), &[Part::Body], Base64),
    handshake: Handshake::Crc,
    success: OK,
    ..BASE
};

/// <https://developer.squareup.com/docs/webhooks/step3validate>
pub static SQUARE: Preset = Preset {
    name: "square",
    title: "Square",
    proof: sha256(one(&["x-square-hmacsha256-signature"], ""), &[Part::Url, Part::Body], Base64),
    kind: Some(Place::Json("/type")),
    id: Some(Place::Json("/event_id")),
    example: "payment.updated",
    ..BASE
};

/// <https://linear.app/developers/webhooks>. The signed body has the time. What fails is sent
/// again after a minute, an hour and six hours, the same bytes with the same time; 200 alone is
/// success.
pub static LINEAR: Preset = Preset {
    name: "linear",
    title: "Linear",
    proof: sha256(one(&["linear-signature"], ""), &[Part::Body], Hex),
    time: Some(Time {
        place: Place::Json("/webhookTimestamp"),
        unit: Unit::Millis,
        tolerance_s: 8 * 3_600,
    }),
    kind: Some(Place::Json("/type")),
    id: Some(Place::Header(&["linear-delivery"])),
    success: OK,
    // As much as its own package takes.
    max_body: Some(5 << 20),
    example: "Issue",
    ..BASE
};

/// <https://razorpay.com/docs/webhooks/validate-test/>
pub static RAZORPAY: Preset = Preset {
    name: "razorpay",
    title: "Razorpay",
    proof: sha256(one(&["x-razorpay-signature"], ""), &[Part::Body], Hex),
    kind: Some(Place::Json("/event")),
    id: Some(Place::Header(&["x-razorpay-event-id"])),
    example: "payment.captured",
    ..BASE
};

/// <https://developers.intercom.com/docs/webhooks/setting-up-webhooks>
pub static INTERCOM: Preset = Preset {
    name: "intercom",
    title: "Intercom",
    proof: Proof::Signed(Signed {
        signature: one(&["x-hub-signature"], "sha1="),
        message: &[Part::Body],
        algorithm: Algorithm::Sha1,
        other: None,
        encoding: Hex,
    }),
    kind: Some(Place::Json("/topic")),
    id: Some(Place::Json("/id")),
    handshake: Handshake::Head,
    success: OK,
    example: "conversation.user.created",
    ..BASE
};

/// <https://docs.sentry.io/integrations/integration-platform/webhooks/>
pub static SENTRY: Preset = Preset {
    name: "sentry",
    title: "Sentry",
    proof: sha256(one(&["sentry-hook-signature"], ""), &[Part::Body], Hex),
    kind: Some(Place::Header(&["sentry-hook-resource"])),
    id: Some(Place::Header(&["request-id"])),
    success: OK,
    example: "issue",
    ..BASE
};

/// <https://developer.pagerduty.com/docs/verifying-signatures>. A
/// rotation sends several signatures.
pub static PAGERDUTY: Preset = Preset {
    name: "pagerduty",
    title: "PagerDuty",
    proof: sha256(several(&["x-pagerduty-signature"], b',', "v1="), &[Part::Body], Hex),
    kind: Some(Place::Json("/event/event_type")),
    id: Some(Place::Json("/event/id")),
    example: "incident.triggered",
    ..BASE
};

/// <https://www.typeform.com/developers/webhooks/secure-your-webhooks/>
pub static TYPEFORM: Preset = Preset {
    name: "typeform",
    title: "Typeform",
    proof: sha256(one(&["typeform-signature"], "sha256="), &[Part::Body], Base64),
    kind: Some(Place::Json("/event_type")),
    id: Some(Place::Json("/event_id")),
    example: "form_response",
    ..BASE
};

/// <https://developers.asana.com/docs/webhooks-guide>. An event list has no id.
pub static ASANA: Preset = Preset {
    name: "asana",
    title: "Asana",
    proof: sha256(one(&["x-hook-signature"], ""), &[Part::Body], Hex),
    kind: Some(Place::Json("/events/0/action")),
    handshake: Handshake::Asana,
    // 200 or 204, as its guide says.
    success: OK,
    example: "changed",
    ..BASE
};

/// <https://developer.atlassian.com/cloud/jira/platform/webhooks/#secure-admin-webhooks>: those of
/// an administrator are signed so. The identifier is the same in each retry.
pub static JIRA: Preset = Preset {
    name: "jira",
    title: "Jira",
    proof: sha256(one(&["x-hub-signature"], "sha256="), &[Part::Body], Hex),
    kind: Some(Place::Json("/webhookEvent")),
    id: Some(Place::Header(&["x-atlassian-webhook-identifier"])),
    success: OK,
    example: "jira:issue_updated",
    ..BASE
};

/// <https://developers.docusign.com/platform/webhooks/connect/validate/>. One
/// header for each active key.
pub static DOCUSIGN: Preset = Preset {
    name: "docusign",
    title: "Docusign",
    proof: sha256(
        Signature {
            numbered: Some("x-docusign-signature-"),
            ..one(&["x-docusign-signature-1"], "")
        },
        &[Part::Body],
        Base64,
    ),
    kind: Some(Place::Json("/event")),
    success: OK,
    // The documents themselves may be in it, where the configuration says so.
    max_body: Some(LARGE),
    example: "envelope-completed",
    ..BASE
};

/// Standard webhooks of payments, one notification each. Only some of its fields are signed, and
/// none of them alone tells two notifications apart, so there is no id:
/// <https://docs.adyen.com/development-resources/webhooks/verify-hmac-signatures>
pub static ADYEN: Preset = Preset {
    name: "adyen",
    title: "Adyen (payments)",
    proof: sha256(
        in_body("/notificationItems/0/NotificationRequestItem/additionalData/hmacSignature"),
        &[Part::AdyenItem],
        Base64,
    ),
    key: KeyForm::Hex,
    kind: Some(Place::Json("/notificationItems/0/NotificationRequestItem/eventCode")),
    example: "AUTHORISATION",
    ..BASE
};

/// All other webhooks of Adyen: the signature over the body stands in a header.
pub static ADYEN_PLATFORM: Preset = Preset {
    name: "adyen-platform",
    title: "Adyen (platform)",
    proof: sha256(one(&["hmacsignature"], ""), &[Part::Body], Base64),
    key: KeyForm::Hex,
    kind: Some(Place::Json("/type")),
    example: "balancePlatform.transfer.created",
    ..BASE
};
