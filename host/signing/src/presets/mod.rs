//! The table of providers. A new one is an entry here and its known answers in `tests/vectors/`.
mod body;
mod timed;
mod token;

pub use body::{
    ADYEN, ADYEN_PLATFORM, ASANA, BITBUCKET, DOCUSIGN, GITHUB, INTERCOM, JIRA, LINEAR, META,
    PAGERDUTY, RAZORPAY, SENTRY, SHOPIFY, SQUARE, TWILIO, TYPEFORM, WOOCOMMERCE, X,
};
pub use timed::{
    CALENDLY, CLERK, DISCORD, HUBSPOT, MAILGUN, OPENAI, PADDLE, POLAR, RESEND, SENDGRID, SLACK,
    STANDARD, STRIPE, SVIX, TWITCH, ZENDESK, ZOOM,
};
pub use token::{BASIC, BEARER, CLOUDEVENTS, GITLAB, MICROSOFT_GRAPH};

use super::preset::{
    Handshake, OtherAlgorithm, Part, Place, Preset, Proof, Signature, Signed, Time, Unit,
};
use super::{Algorithm, Encoding, KeyForm};

/// Seconds: as Standard Webhooks, Stripe, Slack and HubSpot have it.
pub(super) const TOLERANCE_S: u64 = 300;

/// 202, for providers that count any 2xx as success.
const ACCEPTED: u16 = 202;
/// For providers whose documentation speaks of this one alone, or does not say.
const OK: u16 = 200;
/// What GitHub sends at most; others that send files name no limit.
const LARGE: usize = 25 << 20;

/// Every provider, in the order of the docs.
pub static ALL: [&Preset; 41] = [
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
    &POLAR,
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
    &MICROSOFT_GRAPH,
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
    Signature { headers, prefix, ..NOWHERE }
}

/// Several in one header.
const fn several(
    headers: &'static [&'static str],
    separator: u8,
    prefix: &'static str,
) -> Signature {
    Signature { headers, separator: Some(separator), prefix, ..NOWHERE }
}

const fn in_body(pointer: &'static str) -> Signature {
    Signature { json: Some(pointer), ..NOWHERE }
}

const NOWHERE: Signature = Signature {
    headers: &[],
    numbered: None,
    json: None,
    form: None,
    separator: None,
    prefix: "",
    public_prefix: "",
};

/// HMAC-SHA256.
const fn sha256(signature: Signature, message: &'static [Part], encoding: Encoding) -> Proof {
    let algorithm = Algorithm::Sha256;
    Proof::Signed(Signed { signature, message, algorithm, other: None, encoding })
}

const fn time(place: Place, unit: Unit) -> Option<Time> {
    Some(Time { place, unit, tolerance_s: TOLERANCE_S })
}

/// What most entries have in common.
const BASE: Preset = Preset {
    name: "",
    title: "",
    proof: Proof::Token(&[]),
    also: None,
    key: KeyForm::Text,
    time: None,
    kind: None,
    id: None,
    handshake: Handshake::None,
    success: ACCEPTED,
    methods: &["POST"],
    max_body: None,
    example: "sample",
};
