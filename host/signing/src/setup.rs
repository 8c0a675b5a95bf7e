//! What a person does at a provider so that its webhooks arrive, step by step.
use super::{ApiKeyPlace, Handshake, Issuer, KeyForm, Place, Proof, TokenPlace, Verify};

/// Where each provider takes the URL and shows or takes the secret.
const PLACES: &[(&str, &str)] = &[
    (
        "github",
        "Repository or organisation → Settings → Webhooks → Add webhook. Content type `application/json`.",
    ),
    (
        "gitlab",
        "Project or group → Settings → Webhooks → Add new webhook. The secret is the *secret token*.",
    ),
    ("bitbucket", "Repository → Repository settings → Webhooks → Add webhook."),
    (
        "stripe",
        "Developers → Webhooks → Add endpoint. The secret is the endpoint's *signing secret*, `whsec_…`.",
    ),
    (
        "shopify",
        "Settings → Notifications → Webhooks, or the app's subscriptions. The secret is shown there, or is the app's client secret.",
    ),
    ("woocommerce", "WooCommerce → Settings → Advanced → Webhooks → Add webhook."),
    (
        "slack",
        "The app → Event Subscriptions, and Interactivity. The secret is the *signing secret* under Basic Information.",
    ),
    (
        "twilio",
        "The number or the messaging service → its webhook URL. The secret is the account's auth token.",
    ),
    (
        "meta",
        "The app → Webhooks → the product → Callback URL. The secret is the app secret; the *verify token* is the source's `verify_token`.",
    ),
    (
        "x",
        "The developer app → Account Activity → register the webhook. The secret is the consumer secret.",
    ),
    (
        "square",
        "Developer dashboard → Webhooks → Subscriptions → Add. The secret is the subscription's *signature key*.",
    ),
    ("hubspot", "The app → Webhooks → Target URL. The secret is the app's client secret."),
    (
        "zendesk",
        "Admin Center → Apps and integrations → Webhooks → Create. The secret is the webhook's *signing secret*.",
    ),
    ("zoom", "The app → Feature → Event Subscriptions. The secret is the *secret token*."),
    (
        "paddle",
        "Developer tools → Notifications → New destination. The secret is the destination's *secret key*.",
    ),
    (
        "twitch",
        "Create an EventSub subscription with the transport `webhook`; the secret is the one that you give it.",
    ),
    ("linear", "Settings → API → Webhooks → New webhook. The secret is its *signing secret*."),
    ("razorpay", "Account & Settings → Webhooks → Add. The secret is the one that you give it."),
    (
        "discord",
        "The application → Webhooks, or Interactions Endpoint URL. The key is the application's *public key*.",
    ),
    (
        "sendgrid",
        "Settings → Mail Settings → Event Webhook → Signed Event Webhook. The key is its *verification key*.",
    ),
    (
        "svix",
        "The consumer portal → Endpoints → Add endpoint. The secret is its *signing secret*, `whsec_…`.",
    ),
    (
        "clerk",
        "Configure → Webhooks → Add endpoint. The secret is its *signing secret*, `whsec_…`.",
    ),
    ("resend", "Webhooks → Add webhook. The secret is its *signing secret*, `whsec_…`."),
    ("openai", "Project settings → Webhooks → Create. The secret is shown once, `whsec_…`."),
    ("intercom", "Developer hub → the app → Webhooks. The secret is the app's client secret."),
    ("mailgun", "Sending → Webhooks → Add webhook. The secret is the *HTTP webhook signing key*."),
    (
        "sentry",
        "Settings → Developer settings → the integration → Webhook URL. The secret is its client secret.",
    ),
    ("pagerduty", "Integrations → Generic Webhooks (v3) → New webhook. The secret is shown once."),
    ("typeform", "The form → Connect → Webhooks → Add. The secret is the one that you give it."),
    ("calendly", "Create a webhook subscription by the API. The secret is its `signing_key`."),
    (
        "asana",
        "Create a webhook by the API. The secret comes with the handshake, which is answered for you; take it from there into the settings.",
    ),
    (
        "polar",
        "Settings → Webhooks → Add endpoint. The secret is the one that Polar shows, as it stands.",
    ),
    (
        "microsoft-graph",
        "Create a subscription by the API, with the URL as `notificationUrl`. The secret is the `clientState` that you give it, 128 characters at most.",
    ),
    ("jira", "Settings → System → WebHooks → Create. The secret is the one that you give it."),
    ("docusign", "Settings → Connect → Add configuration → Custom. The secret is its HMAC key."),
    ("adyen", "Developers → Webhooks → Standard webhook. The secret is its *HMAC key*, in hex."),
    (
        "adyen-platform",
        "Developers → Webhooks → the platform webhook. The secret is its *HMAC key*, in hex.",
    ),
];

/// The provider's name, or what the scheme is.
pub fn title(verify: &Verify) -> &'static str {
    match verify {
        Verify::None => "anybody",
        Verify::Preset(scheme) => scheme.preset.title,
        Verify::Hmac(_) => "HMAC",
        Verify::ApiKey(_) => "API key",
        Verify::Jwt(_) => "JSON Web Token",
        Verify::Certified(scheme) => match scheme.issuer {
            Issuer::Sns { .. } => "AWS SNS",
            Issuer::PayPal { .. } => "PayPal",
        },
    }
}

/// The steps after the one that everybody takes: to give the provider the URL.
/// Text with `code` marked as in Markdown.
pub fn setup(verify: &Verify) -> Vec<String> {
    let mut steps = Vec::new();
    let place = PLACES.iter().find(|(name, _)| *name == verify.name());
    steps.extend(place.map(|(_, text)| (*text).to_owned()));
    match verify {
        Verify::None => {
            steps.push("Nothing is checked: anybody who knows the URL may post.".into())
        }
        Verify::Hmac(scheme) => steps.push(format!(
            "Sign the body by HMAC with the secret of the source, into the header `{}`.",
            scheme.header
        )),
        Verify::ApiKey(scheme) => steps.push(match &scheme.place {
            ApiKeyPlace::Header(name) => format!("Send the key in the header `{name}`."),
            ApiKeyPlace::Query(name) => format!("Send the key in the query as `{name}`."),
        }),
        Verify::Jwt(scheme) => steps.push(format!(
            "Send a token for the audience `{}` as `authorization: Bearer …`.",
            scheme.audience
        )),
        Verify::Preset(scheme) => steps.extend(preset(scheme.preset)),
        Verify::Certified(scheme) => steps.push(match scheme.issuer {
            Issuer::Sns { .. } => {
                "Subscribe the URL to the topic by HTTPS; the host confirms it by itself.".into()
            }
            Issuer::PayPal { .. } => {
                "Apps & Credentials → the app → Add webhook; its id stands in the source's `verify`."
                    .into()
            }
        }),
    }
    steps
}

fn preset(preset: &super::Preset) -> Vec<String> {
    let mut steps = Vec::new();
    match &preset.proof {
        Proof::Signed(signed) => {
            let place = match (signed.signature.headers.first(), signed.signature.json) {
                (Some(header), _) => format!("the header `{header}`"),
                (None, Some(pointer)) => format!("the body at `{pointer}`"),
                (None, None) => "the request".to_owned(),
            };
            let key = match preset.key {
                KeyForm::Ed25519 | KeyForm::P256 => "its public key stands",
                _ => "the same secret stands",
            };
            steps.push(format!(
                "It signs each request in {place}; {key} in the source's `verify.secrets`."
            ));
        }
        Proof::Token(places) => {
            let place = match places.first() {
                Some(TokenPlace::Basic) => "user and password by basic authentication".to_owned(),
                Some(TokenPlace::Header(name)) => format!("the secret in the header `{name}`"),
                Some(TokenPlace::Query(name)) => format!("the secret in the query as `{name}`"),
                Some(TokenPlace::ClientState) => {
                    "the secret as the subscription's `clientState`".to_owned()
                }
                _ => "the secret as `authorization: Bearer …`".to_owned(),
            };
            steps.push(format!("Let it send {place}."));
        }
    }
    if preset.signs_url() {
        steps.push("It signs the URL: give it exactly the one above.".into());
    }
    if preset.handshake != Handshake::None {
        steps.push("It checks the URL first; the host answers that by itself.".into());
    }
    if let Some(Place::Header([name, ..])) = preset.kind {
        steps.push(format!("Events are told apart by the header `{name}`."));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::presets;
    use super::*;

    #[test]
    fn every_place_is_of_a_scheme_that_there_is() {
        for (name, _) in PLACES {
            assert!(presets::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn every_provider_has_steps() {
        for preset in presets::ALL {
            let verify = Verify::preset(preset, [super::super::Secret::new("x")]);
            assert!(!setup(&verify).is_empty() && !title(&verify).is_empty(), "{}", preset.name);
        }
    }
}
