//! What a provider's scheme is made of: the columns of the table in `presets`.
use super::{Algorithm, Encoding, KeyForm};

/// One provider. All that its verification needs, as data.
#[derive(Debug)]
pub struct Preset {
    /// As `scheme` names it in the settings.
    pub name: &'static str,
    /// The provider's name for people.
    pub title: &'static str,
    /// How a request proves that it is the provider's.
    pub proof: Proof,
    /// Signs as this one instead, where a secret begins with `whsec_`.
    pub also: Option<&'static Preset>,
    /// How the provider hands out its secret or public key.
    pub key: KeyForm,
    /// Where the signed time stands; none where the scheme signs no time.
    pub time: Option<Time>,
    /// Where the name of what happened stands.
    pub kind: Option<Place>,
    /// Where the id stands that a repeated delivery has again.
    pub id: Option<Place>,
    /// How the provider checks a new URL.
    pub handshake: Handshake,
    /// The status that an accepted event is answered with: one that the provider counts as success.
    pub success: u16,
    /// The methods by which it sends events.
    pub methods: &'static [&'static str],
    /// Bytes of the largest body that it sends, where that is more than others send.
    pub max_body: Option<usize>,
    /// A kind that the provider sends, for samples.
    pub example: &'static str,
}

/// How a request shows that its sender knows the secret.
#[derive(Debug)]
pub enum Proof {
    /// A signature over parts of the request.
    Signed(Signed),
    /// The secret itself stands in one of these places, the first that there is.
    Token(&'static [TokenPlace]),
}

/// A signature: where it stands, what it covers, and how it is made.
#[derive(Debug)]
pub struct Signed {
    /// Where it stands.
    pub signature: Signature,
    /// What it covers, in this order.
    pub message: &'static [Part],
    /// How it is made.
    pub algorithm: Algorithm,
    /// Another algorithm, where the request names it.
    pub other: Option<OtherAlgorithm>,
    /// How its bytes are written.
    pub encoding: Encoding,
}

/// An algorithm that a request names in a header: `key=…,algorithm=HMAC_SHA256`.
#[derive(Debug, Clone, Copy)]
pub struct OtherAlgorithm {
    /// The header that names the algorithm.
    pub header: &'static str,
    /// The usual one, as it is named there.
    pub usual: &'static str,
    /// This one, as it is named there.
    pub name: &'static str,
    /// How it is made.
    pub algorithm: Algorithm,
}

/// Where the signature stands. Any one of several may match.
#[derive(Debug)]
pub struct Signature {
    /// Those that are there count, each at most once.
    pub headers: &'static [&'static str],
    /// All headers count as well that begin so and end in a number from 2 to 100.
    pub numbered: Option<&'static str>,
    /// Where it stands in the body instead: a JSON pointer.
    pub json: Option<&'static str>,
    /// The same where the body is a form: a field.
    pub form: Option<&'static str>,
    /// Between several in one header.
    pub separator: Option<u8>,
    /// Before each one.
    pub prefix: &'static str,
    /// Before one that was made with a private key.
    pub public_prefix: &'static str,
}

/// What is signed, one part after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A fixed text.
    Text(&'static str),
    /// The delivery's id.
    Id,
    /// The timestamp as it stands in the request.
    Time,
    /// The request's method.
    Method,
    /// The public URL of the source, with the query that came.
    Url,
    /// The same, with those characters in clear that HubSpot does not escape; or as it came.
    HubspotUrl,
    /// The same, with its port or without; see `url`.
    TwilioUrl,
    /// The body as it came.
    Body,
    /// The names and values of a form, sorted and joined; nothing where the
    /// body's hash stands in the signed URL. See `message`.
    TwilioForm,
    /// Fields of the notification, joined by colons. See `message`.
    AdyenItem,
}

/// A place in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first of these headers that there is.
    Header(&'static [&'static str]),
    /// In the list that has the signature, after this prefix.
    Entry(&'static str),
    /// In the body: a JSON pointer.
    Json(&'static str),
    /// In the body: a field of a form.
    Form(&'static str),
    /// A header that must have this value.
    HeaderIs(&'static str, &'static str),
    /// The first of these that there is.
    First(&'static [Place]),
}

impl Place {
    /// The one that most requests have.
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
    /// Where it stands.
    pub place: Place,
    /// How it is written.
    pub unit: Unit,
    /// Seconds, where the settings say nothing.
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

/// How a provider makes sure that the URL is its customer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// There is no handshake.
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
    /// OPTIONS with `webhook-request-origin`: leave to send (CloudEvents).
    Options,
}

impl Preset {
    /// Whether the source's public URL is signed, and so must be known.
    pub fn signs_url(&self) -> bool {
        [Part::Url, Part::HubspotUrl, Part::TwilioUrl].into_iter().any(|part| self.signs(part))
    }

    /// Whether this is a part of what is signed.
    pub fn signs(&self, part: Part) -> bool {
        matches!(&self.proof, Proof::Signed(signed) if signed.message.contains(&part))
    }

    /// Whether only the provider can sign: it keeps the private key.
    pub fn is_asymmetric(&self) -> bool {
        matches!(self.key, KeyForm::Ed25519 | KeyForm::P256)
    }
}
