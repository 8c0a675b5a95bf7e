//! What a provider's scheme is made of: the columns of the table in `presets`.
use super::{Algorithm, Encoding, KeyForm};

/// One provider: everything that the verification of its requests needs, as data.
#[derive(Debug)]
pub struct Preset {
    /// As `scheme` names it in the settings.
    pub name: &'static str,
    /// The provider's name for people.
    pub title: &'static str,
    /// How a request proves that it is the provider's.
    pub proof: Proof,
    /// The scheme that signs instead if the secret begins with `whsec_`.
    pub also: Option<&'static Preset>,
    /// How the provider hands out its secret or public key.
    pub key: KeyForm,
    /// Where the signed time is; none if the scheme signs no time.
    pub time: Option<Time>,
    /// Where the event type is.
    pub kind: Option<Place>,
    /// Where the id is that a repeated delivery repeats.
    pub id: Option<Place>,
    /// How the provider verifies a new URL.
    pub handshake: Handshake,
    /// The status that an accepted event is answered with: one that the provider counts as success.
    pub success: u16,
    /// The HTTP methods with which it sends events.
    pub methods: &'static [&'static str],
    /// Bytes of the largest body that it sends, if that is more than other providers send.
    pub max_body: Option<usize>,
    /// One of the provider's event types, for samples.
    pub example: &'static str,
}

/// How a request shows that its sender knows the secret.
#[derive(Debug)]
pub enum Proof {
    /// A signature over parts of the request.
    Signed(Signed),
    /// The secret itself, in the first of these places that the request has.
    Token(&'static [TokenPlace]),
}

/// A signature: where it is, what it covers, and how it is made.
#[derive(Debug)]
pub struct Signed {
    /// Where it is.
    pub signature: Signature,
    /// What it covers, in this order.
    pub message: &'static [Part],
    /// How it is made.
    pub algorithm: Algorithm,
    /// Another algorithm, used if the request names it.
    pub other: Option<OtherAlgorithm>,
    /// How its bytes are encoded as text.
    pub encoding: Encoding,
}

/// An algorithm that a request names in a header: `key=…,algorithm=HMAC_SHA256`.
#[derive(Debug, Clone, Copy)]
pub struct OtherAlgorithm {
    /// The header that names the algorithm.
    pub header: &'static str,
    /// The usual algorithm's name in the header.
    pub usual: &'static str,
    /// This algorithm's name in the header.
    pub name: &'static str,
    /// The algorithm.
    pub algorithm: Algorithm,
}

/// Where the signatures are. If there are several, any one of them may match.
#[derive(Debug)]
pub struct Signature {
    /// The headers that may have a signature, each at most once.
    pub headers: &'static [&'static str],
    /// The prefix of further headers, which end in a number from 2 to 100.
    pub numbered: Option<&'static str>,
    /// Its place in the body instead: a JSON pointer.
    pub json: Option<&'static str>,
    /// Its field if the body is a form.
    pub form: Option<&'static str>,
    /// The separator of several signatures in one header.
    pub separator: Option<u8>,
    /// The prefix of each signature.
    pub prefix: &'static str,
    /// The prefix of a signature that was made with a private key.
    pub public_prefix: &'static str,
}

/// What is signed, one part after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A fixed text.
    Text(&'static str),
    /// The delivery's id.
    Id,
    /// The timestamp, as the request has it.
    Time,
    /// The request's method.
    Method,
    /// The public URL of the source, with the request's query.
    Url,
    /// The same URL, with the characters unescaped that HubSpot does not escape; or unchanged.
    HubspotUrl,
    /// The same URL, with or without its port; see `url`.
    TwilioUrl,
    /// The body, as received.
    Body,
    /// The names and values of a form, sorted and joined; nothing if the signed URL has the
    /// body's hash. See `message`.
    TwilioForm,
    /// Fields of the notification, joined by colons. See `message`.
    AdyenItem,
}

/// A place in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first of these headers that the request has.
    Header(&'static [&'static str]),
    /// An entry of the signature's header, after this prefix.
    Entry(&'static str),
    /// A JSON pointer into the body.
    Json(&'static str),
    /// A field of a form in the body.
    Form(&'static str),
    /// A header that must have this value.
    HeaderIs(&'static str, &'static str),
    /// The first of these places that the request has.
    First(&'static [Place]),
}

impl Place {
    /// The place that most requests use.
    pub fn usual(self) -> Self {
        match self {
            Self::First(places) => {
                let rare = |place: &&Self| matches!(place, Self::Form(_) | Self::HeaderIs(..));
                places.iter().find(|place| !rare(place)).copied().unwrap_or(self)
            }
            other => other,
        }
    }
}

/// Where a request carries the secret itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPlace {
    /// `authorization: Basic`.
    Basic,
    /// `authorization: Bearer`.
    Bearer,
    /// A header.
    Header(&'static str),
    /// A parameter of the query.
    Query(&'static str),
    /// `clientState` of every notification in the body: Microsoft Graph.
    ClientState,
}

/// The time that a request is signed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// Where it is.
    pub place: Place,
    /// How it is written.
    pub unit: Unit,
    /// The default tolerance, in seconds.
    pub tolerance_s: u64,
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// RFC 3339, in UTC.
    Date,
}

/// How a provider verifies that the URL belongs to its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// No handshake.
    None,
    /// Signed POST, `type` is `url_verification`: the text of `challenge`. And, signed or
    /// not, GET or POST with `ssl_check=1`: 200.
    Slack,
    /// Signed POST, `event` is `endpoint.url_validation`: the token and its HMAC.
    Zoom,
    /// Signed POST of the type `webhook_callback_verification`: the text of `challenge`.
    Twitch,
    /// Signed POST, `type` is a ping of interactions or of webhook events.
    Discord,
    /// GET with `hub.mode`, `hub.verify_token`, `hub.challenge` (WebSub).
    Hub,
    /// GET with `crc_token`: its HMAC.
    Crc,
    /// POST with `x-hook-secret` and no signature: the same header.
    Asana,
    /// HEAD: 200.
    Head,
    /// An unsigned POST of `webhook_id=…` when the webhook is made: 200.
    WooCommerce,
    /// An unsigned POST of `diagnostics:ping` from a test of the connection: 200.
    Bitbucket,
    /// POST with `validationToken` in the query: its text.
    Graph,
    /// OPTIONS with `webhook-request-origin`: permission to send (CloudEvents).
    Options,
}

impl Preset {
    /// Whether the signature covers the source's public URL, so that the settings must have it.
    pub fn signs_url(&self) -> bool {
        [Part::Url, Part::HubspotUrl, Part::TwilioUrl].into_iter().any(|part| self.signs(part))
    }

    /// Whether the signature covers this part.
    pub fn signs(&self, part: Part) -> bool {
        matches!(&self.proof, Proof::Signed(signed) if signed.message.contains(&part))
    }

    /// Whether only the provider can sign, since it keeps the private key.
    pub fn is_asymmetric(&self) -> bool {
        matches!(self.key, KeyForm::Ed25519 | KeyForm::P256)
    }
}
