//! Providers that sign a time, and mostly an id or the body with it.
use super::*;
use Encoding::{Base64, Hex};

/// Standard Webhooks, symmetric and public-key: <https://www.standardwebhooks.com>.
/// The names that came before the standard serve too.
const fn standard(name: &'static str, title: &'static str) -> Preset {
    Preset {
        name,
        title,
        proof: sha256(
            Signature {
                public_prefix: "v1a,",
                ..several(&["webhook-signature", "svix-signature"], b' ', "v1,")
            },
            &[Part::Id, Part::Text("."), Part::Time, Part::Text("."), Part::Body],
            Base64,
        ),
        key: KeyForm::Standard,
        time: time(Place::Header(&["webhook-timestamp", "svix-timestamp"]), Unit::Seconds),
        kind: Some(Place::Json("/type")),
        id: Some(Place::Header(&["webhook-id", "svix-id"])),
        example: "user.created",
        ..BASE
    }
}

/// Standard Webhooks, which deliveries are signed with by default.
pub static STANDARD: Preset = standard("standard", "Standard Webhooks");
/// <https://docs.svix.com/receiving/verifying-payloads/how-manual>
pub static SVIX: Preset = standard("svix", "Svix");
/// <https://clerk.com/docs/webhooks/overview>
pub static CLERK: Preset = standard("clerk", "Clerk");
/// <https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests>
pub static RESEND: Preset = standard("resend", "Resend");
/// <https://platform.openai.com/docs/guides/webhooks>
pub static OPENAI: Preset = standard("openai", "OpenAI");
/// <https://polar.sh/docs/integrate/webhooks/delivery>. The secret is meant as it stands; its
/// package takes what it is the base64 of as well.
pub static POLAR: Preset =
    Preset { key: KeyForm::Polar, example: "order.paid", ..standard("polar", "Polar") };

/// <https://docs.stripe.com/webhooks#verify-manually>. The key is the whole text, `whsec_` too.
pub static STRIPE: Preset = Preset {
    name: "stripe",
    title: "Stripe",
    proof: sha256(
        several(&["stripe-signature"], b',', "v1="),
        &[Part::Time, Part::Text("."), Part::Body],
        Hex,
    ),
    time: time(Place::Entry("t="), Unit::Seconds),
    kind: Some(Place::Json("/type")),
    id: Some(Place::Json("/id")),
    example: "invoice.paid",
    ..BASE
};

/// <https://docs.slack.dev/authentication/verifying-requests-from-slack>
pub static SLACK: Preset = Preset {
    name: "slack",
    title: "Slack",
    proof: sha256(
        one(&["x-slack-signature"], "v0="),
        &[Part::Text("v0:"), Part::Time, Part::Text(":"), Part::Body],
        Hex,
    ),
    time: time(Place::Header(&["x-slack-request-timestamp"]), Unit::Seconds),
    kind: Some(Place::Json("/event/type")),
    id: Some(Place::Json("/event_id")),
    handshake: Handshake::Slack,
    example: "app_mention",
    ..BASE
};

/// <https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation>.
/// A request has several events, so there is no id for the whole.
pub static HUBSPOT: Preset = Preset {
    name: "hubspot",
    title: "HubSpot (v3)",
    proof: sha256(
        one(&["x-hubspot-signature-v3"], ""),
        &[Part::Method, Part::HubspotUrl, Part::Body, Part::Time],
        Base64,
    ),
    time: time(Place::Header(&["x-hubspot-request-timestamp"]), Unit::Millis),
    kind: Some(Place::Json("/0/subscriptionType")),
    example: "contact.creation",
    ..BASE
};

/// <https://developer.zendesk.com/documentation/webhooks/verifying/>
pub static ZENDESK: Preset = Preset {
    name: "zendesk",
    title: "Zendesk",
    proof: sha256(one(&["x-zendesk-webhook-signature"], ""), &[Part::Time, Part::Body], Base64),
    time: time(Place::Header(&["x-zendesk-webhook-signature-timestamp"]), Unit::Date),
    kind: Some(Place::Json("/type")),
    id: Some(Place::Header(&["x-zendesk-webhook-invocation-id"])),
    example: "zen:event-type:ticket.created",
    ..BASE
};

/// <https://developers.zoom.us/docs/api/webhooks/>
pub static ZOOM: Preset = Preset {
    name: "zoom",
    title: "Zoom",
    proof: sha256(
        one(&["x-zm-signature"], "v0="),
        &[Part::Text("v0:"), Part::Time, Part::Text(":"), Part::Body],
        Hex,
    ),
    time: time(Place::Header(&["x-zm-request-timestamp"]), Unit::Seconds),
    kind: Some(Place::Json("/event")),
    handshake: Handshake::Zoom,
    // 200 or 204: <https://developers.zoom.us/blog/webhook-delays>.
    success: OK,
    example: "meeting.started",
    ..BASE
};

/// <https://developer.paddle.com/webhooks/signature-verification>
pub static PADDLE: Preset = Preset {
    name: "paddle",
    title: "Paddle",
    proof: sha256(
        several(&["paddle-signature"], b';', "h1="),
        &[Part::Time, Part::Text(":"), Part::Body],
        Hex,
    ),
    time: time(Place::Entry("ts="), Unit::Seconds),
    kind: Some(Place::Json("/event_type")),
    id: Some(Place::Json("/event_id")),
    // <https://developer.paddle.com/webhooks/about/respond-to-webhooks>
    success: OK,
    example: "transaction.completed",
    ..BASE
};

/// <https://dev.twitch.tv/docs/eventsub/handling-webhook-events/>
pub static TWITCH: Preset = Preset {
    name: "twitch",
    title: "Twitch",
    proof: sha256(
        one(&["twitch-eventsub-message-signature"], "sha256="),
        &[Part::Id, Part::Time, Part::Body],
        Hex,
    ),
    time: Some(Time {
        place: Place::Header(&["twitch-eventsub-message-timestamp"]),
        unit: Unit::Date,
        tolerance_s: 600,
    }),
    // One that tells of a subscription's end names the subscription as all do.
    kind: Some(Place::First(&[
        Place::HeaderIs("twitch-eventsub-message-type", "revocation"),
        Place::Header(&["twitch-eventsub-subscription-type"]),
    ])),
    id: Some(Place::Header(&["twitch-eventsub-message-id"])),
    handshake: Handshake::Twitch,
    example: "channel.follow",
    ..BASE
};

/// <https://docs.discord.com/developers/events/webhook-events>, and interactions.
pub static DISCORD: Preset = Preset {
    name: "discord",
    title: "Discord",
    proof: Proof::Signed(Signed {
        signature: one(&["x-signature-ed25519"], ""),
        message: &[Part::Time, Part::Body],
        algorithm: Algorithm::Ed25519,
        other: None,
        encoding: Hex,
    }),
    key: KeyForm::Ed25519,
    time: time(Place::Header(&["x-signature-timestamp"]), Unit::Seconds),
    kind: Some(Place::Json("/event/type")),
    handshake: Handshake::Discord,
    success: OK,
    example: "APPLICATION_AUTHORIZED",
    ..BASE
};

/// <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features>.
/// A request has several events, so there is no id for the whole.
pub static SENDGRID: Preset = Preset {
    name: "sendgrid",
    title: "SendGrid",
    proof: Proof::Signed(Signed {
        signature: one(&["x-twilio-email-event-webhook-signature"], ""),
        message: &[Part::Time, Part::Body],
        algorithm: Algorithm::EcdsaP256,
        other: None,
        encoding: Base64,
    }),
    key: KeyForm::P256,
    time: time(Place::Header(&["x-twilio-email-event-webhook-timestamp"]), Unit::Seconds),
    kind: Some(Place::Json("/0/event")),
    example: "delivered",
    ..BASE
};

/// <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>.
/// Mailgun signs a time and a token in the body, not the event: the token is
/// the key for deduplication, so that what was seen can't come again. Its routes post forms with
/// the same fields. It tries for eight hours, with the first attempt's time and token.
pub static MAILGUN: Preset = Preset {
    name: "mailgun",
    title: "Mailgun",
    proof: sha256(
        Signature { form: Some("signature"), ..in_body("/signature/signature") },
        &[Part::Time, Part::Id],
        Hex,
    ),
    time: Some(Time {
        place: Place::First(&[Place::Json("/signature/timestamp"), Place::Form("timestamp")]),
        unit: Unit::Seconds,
        tolerance_s: 9 * 3_600,
    }),
    kind: Some(Place::First(&[Place::Json("/event-data/event"), Place::Form("event")])),
    id: Some(Place::First(&[Place::Json("/signature/token"), Place::Form("token")])),
    // <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-retries>
    success: OK,
    // Routes post whole mails, with attachments.
    max_body: Some(LARGE),
    example: "delivered",
    ..BASE
};

/// <https://developer.calendly.com/api-docs/4c305798a61d3-webhook-signatures>
pub static CALENDLY: Preset = Preset {
    name: "calendly",
    title: "Calendly",
    proof: sha256(
        several(&["calendly-webhook-signature"], b',', "v1="),
        &[Part::Time, Part::Text("."), Part::Body],
        Hex,
    ),
    time: Some(Time { place: Place::Entry("t="), unit: Unit::Seconds, tolerance_s: 180 }),
    kind: Some(Place::Json("/event")),
    example: "invitee.created",
    ..BASE
};
