//! The table of providers. A new one is an entry here and its known answers in `tests/vectors/`.
mod body;
mod timed;
mod token;

pub use body::{
    ADYEN, ADYEN_PLATFORM, ASANA, BITBUCKET, DOCUSIGN, GITHUB, INTERCOM, JIRA, LINEAR, META,
    PAGERDUTY, RAZORPAY, SENTRY, SHOPIFY, SQUARE, TWILIO, TYPEFORM, WOOCOMMERCE, X,
};
pub use timed::{
    CALENDLY, CLERK, DISCORD, HUBSPOT, MAILGUN, OPENAI, PADDLE, RESEND, SENDGRID, SLACK, STANDARD,
    STRIPE, SVIX, TWITCH, ZENDESK, ZOOM,
};
pub use token::{BASIC, BEARER, CLOUDEVENTS, GITLAB};

use super::preset::{Handshake, Part, Place, Preset, Proof, Signature, Signed, Time, Unit};
use super::{Algorithm, Encoding, KeyForm};

/// Seconds: as Standard Webhooks, Stripe, Slack and HubSpot have it.
pub(super) const TOLERANCE_S: u64 = 300;

/// Every provider, in the order of the docs.
pub static ALL: [&Preset; 39] = [
    &STANDARD,
    &GITHUB,
    &GITLAB,
    &BITBUCKET,
    &STRIPE,
    &SHOPIFY,
    &WOOCOMMERCE,
    &SLACK,
    &TWILIO,
    &META,
    &X,
    &SQUARE,
    &HUBSPOT,
    &ZENDESK,
    &ZOOM,
    &PADDLE,
    &TWITCH,
    &LINEAR,
    &RAZORPAY,
    &DISCORD,
    &SENDGRID,
    &SVIX,
    &CLERK,
    &RESEND,
    &OPENAI,
    &INTERCOM,
    &MAILGUN,
    &SENTRY,
    &PAGERDUTY,
    &TYPEFORM,
    &CALENDLY,
    &ASANA,
    &JIRA,
    &DOCUSIGN,
    &ADYEN,
    &ADYEN_PLATFORM,
    &CLOUDEVENTS,
    &BASIC,
    &BEARER,
];

/// The provider of that name.
pub fn named(name: &str) -> Option<&'static Preset> {
    ALL.into_iter().find(|preset| preset.name == name)
}

/// One signature in one header.
const fn one(headers: &'static [&'static str], prefix: &'static str) -> Signature {
    Signature { headers, json: None, separator: None, prefix, public_prefix: "" }
}

/// Several in one header.
const fn several(
    headers: &'static [&'static str],
    separator: u8,
    prefix: &'static str,
) -> Signature {
    Signature { headers, json: None, separator: Some(separator), prefix, public_prefix: "" }
}

const fn in_body(pointer: &'static str) -> Signature {
    Signature { headers: &[], json: Some(pointer), separator: None, prefix: "", public_prefix: "" }
}

/// HMAC-SHA256.
const fn sha256(signature: Signature, message: &'static [Part], encoding: Encoding) -> Proof {
    Proof::Signed(Signed { signature, message, algorithm: Algorithm::Sha256, encoding })
}

const fn time(place: Place, unit: Unit) -> Option<Time> {
    Some(Time { place, unit, tolerance_s: TOLERANCE_S })
}

/// What most entries have in common.
const BASE: Preset = Preset {
    name: "",
    title: "",
    proof: Proof::Token(&[]),
    key: KeyForm::Text,
    time: None,
    kind: None,
    id: None,
    handshake: Handshake::None,
    example: "sample",
};
