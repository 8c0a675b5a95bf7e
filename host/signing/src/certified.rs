//! Signatures by a certificate that the request names: AWS SNS and PayPal.
//!
//! Pure: the caller fetches the certificate, over TLS and from hosts of the
//! provider alone, which is what makes it the provider's.
use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Uri};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;

use super::Refusal;
use super::request::{Request, single};
use super::scheme::{CertifiedScheme, Issuer};

use hookwright_model::date::parse_moment;
use hookwright_model::pointer;

const PAYPAL_HOSTS: [&str; 4] =
    ["api.paypal.com", "api.sandbox.paypal.com", "api-m.paypal.com", "api-m.sandbox.paypal.com"];
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Longer URLs of a certificate are none of a provider's.
const MAX_URL: usize = 512;
/// The same limit for a confirmation, which has a token of 300 characters and the topic's name.
const MAX_CONFIRM_URL: usize = 2_048;

static TRANSMISSION_ID: HeaderName = HeaderName::from_static("paypal-transmission-id");
static TRANSMISSION_TIME: HeaderName = HeaderName::from_static("paypal-transmission-time");
static TRANSMISSION_SIG: HeaderName = HeaderName::from_static("paypal-transmission-sig");
static PAYPAL_CERT_URL: HeaderName = HeaderName::from_static("paypal-cert-url");
static AUTH_ALGO: HeaderName = HeaderName::from_static("paypal-auth-algo");

/// The public key of a fetched certificate, and when it counts.
#[derive(Debug, Clone)]
pub(super) struct CertifiedKey {
    /// `RSAPublicKey` (RFC 8017, A.1.1), DER.
    rsa: Vec<u8>,
    from_s: u64,
    until_s: u64,
}

impl CertifiedKey {
    /// The first certificate of a PEM text; none where it has no RSA key.
    pub(super) fn read(pem: &[u8]) -> Option<Self> {
        let der = CertificateDer::from_pem_slice(pem).ok()?;
        let parsed = Certificate::from_der(&der).ok()?;
        let body = parsed.tbs_certificate();
        let key = body.subject_public_key_info();
        let (from, until) = (body.validity().not_before, body.validity().not_after);
        (key.algorithm.oid == RSA).then(|| Self {
            rsa: key.subject_public_key.raw_bytes().to_vec(),
            from_s: from.to_unix_duration().as_secs(),
            until_s: until.to_unix_duration().as_secs(),
        })
    }
}

/// Where the request says that its certificate is, once all that can be told without the
/// certificate has been checked.
///
/// # Errors
/// The request is another's, too old, or not of the scheme's form; or it names a place that is
/// not the provider's.
pub(super) fn wants<'r>(
    scheme: &CertifiedScheme,
    request: &Request<'r>,
    now_s: u64,
) -> Result<Cow<'r, str>, Refusal> {
    let url = match &scheme.issuer {
        Issuer::Sns { topics } => {
            let notification = Notification::read(request.body);
            notification.suits(scheme, topics, now_s)?;
            let named = notification.get(CERT_URL);
            // The name in messages of signature version 1 by some SDKs.
            named.or_else(|_| notification.get(OLD_CERT_URL))?
        }
        Issuer::PayPal { .. } => {
            Transmission::read(request)?.suits(scheme, now_s)?;
            header(request, &PAYPAL_CERT_URL)?
        }
    };
    scheme.issuer.has_certificate(&url).then_some(url).ok_or(Refusal::Malformed)
}

impl Issuer {
    /// Whether a certificate of the provider may be at the URL. It can be written in one way
    /// only, without a query: else one certificate would have any number of URLs.
    fn has_certificate(&self, url: &str) -> bool {
        let Some(uri) = self.own(url) else { return false };
        let name = match self {
            Self::Sns { .. } => uri.path().strip_prefix('/').and_then(|it| it.strip_suffix(".pem")),
            Self::PayPal { .. } => uri.path().strip_prefix("/v1/notifications/certs/"),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let named = name.is_some_and(|name| !name.is_empty() && name.bytes().all(plain));
        named && url.len() <= MAX_URL && !url.contains(['?', '#'])
    }

    /// Whether SNS confirms a subscription there.
    fn confirms(&self, url: &str) -> bool {
        url.len() <= MAX_CONFIRM_URL && self.own(url).is_some_and(|uri| uri.path() == "/")
    }

    /// The URL, if it leads to the provider, over TLS and on the usual port.
    fn own(&self, url: &str) -> Option<Uri> {
        let uri = url.parse::<Uri>().ok()?;
        let host = uri.host().unwrap_or_default();
        let plain = uri.authority().is_some_and(|own| own.as_str() == host);
        // Written otherwise it would be another URL for the same place.
        let small = url.starts_with("https://") && !host.bytes().any(|it| it.is_ascii_uppercase());
        let own = match self {
            Self::Sns { .. } => is_sns(host),
            Self::PayPal { .. } => PAYPAL_HOSTS.contains(&host),
        };
        (plain && small && own).then_some(uri)
    }
}

/// `sns.REGION.amazonaws.com`, in China with `.cn` behind.
fn is_sns(host: &str) -> bool {
    let region = host.strip_prefix("sns.").and_then(|rest| {
        rest.strip_suffix(".amazonaws.com").or_else(|| rest.strip_suffix(".amazonaws.com.cn"))
    });
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    region.is_some_and(|region| !region.is_empty() && region.bytes().all(letter))
}

/// What a request that its certificate proves is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Certified {
    Event,
    /// The provider asks for this URL to be fetched before it sends events.
    Confirm(String),
}

pub(super) fn verify(
    scheme: &CertifiedScheme,
    key: &CertifiedKey,
    request: &Request<'_>,
    now_s: u64,
) -> Result<Certified, Refusal> {
    if now_s < key.from_s || now_s > key.until_s {
        return Err(Refusal::Expired);
    }
    match &scheme.issuer {
        Issuer::Sns { topics } => sns(scheme, topics, key, request, now_s),
        Issuer::PayPal { webhook_id } => {
            paypal(scheme, webhook_id, key, request, now_s).map(|()| Certified::Event)
        }
    }
}

/// Of a message by SNS: what is looked at.
const FIELDS: [&str; 12] = [
    "/Message",
    "/MessageId",
    "/Subject",
    "/SubscribeURL",
    "/Timestamp",
    "/Token",
    "/TopicArn",
    "/Type",
    "/SignatureVersion",
    "/Signature",
    CERT_URL,
    OLD_CERT_URL,
];
const CERT_URL: &str = "/SigningCertURL";
const OLD_CERT_URL: &str = "/SigningCertUrl";

/// docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html:
/// names and values, each with a line end, in the order of the names.
const NOTIFICATION: &[&str] = &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: &[&str] =
    &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// A message by SNS: its fields, found in one walk over the body.
struct Notification<'b>(Vec<Option<Cow<'b, [u8]>>>);

impl<'b> Notification<'b> {
    fn read(body: &'b [u8]) -> Self {
        let found = pointer::select(body, &FIELDS);
        Self(found.into_iter().map(|json| json.and_then(pointer::plain)).collect())
    }

    fn get(&self, pointer: &str) -> Result<Cow<'b, str>, Refusal> {
        let place = FIELDS.iter().position(|field| *field == pointer);
        let value = place.and_then(|place| self.0.get(place)?.clone()).ok_or(Refusal::Missing)?;
        match value {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
            Cow::Owned(bytes) => {
                String::from_utf8(bytes).map(Cow::Owned).map_err(|e| e.utf8_error())
            }
        }
        .map_err(|_| Refusal::Malformed)
    }

    /// The names of what is signed.
    fn signed(&self) -> Result<&'static [&'static str], Refusal> {
        match &*self.get("/Type")? {
            "Notification" => Ok(NOTIFICATION),
            "SubscriptionConfirmation" | "UnsubscribeConfirmation" => Ok(CONFIRMATION),
            _ => Err(Refusal::Malformed),
        }
    }

    fn algorithm(&self) -> Result<&'static RsaParameters, Refusal> {
        match &*self.get("/SignatureVersion")? {
            "1" => Ok(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            "2" => Ok(&RSA_PKCS1_2048_8192_SHA256),
            _ => Err(Refusal::Malformed),
        }
    }

    fn message(&self) -> Result<String, Refusal> {
        let mut message = String::new();
        for name in self.signed()? {
            match self.get(&format!("/{name}")) {
                Ok(value) => message.extend([name, "\n", &*value, "\n"]),
                // The one that need not be there.
                Err(_) if *name == "Subject" => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(message)
    }

    /// Whether it is of one of our topics and of now, if it is genuine.
    fn suits(
        &self,
        scheme: &CertifiedScheme,
        topics: &[String],
        now_s: u64,
    ) -> Result<(), Refusal> {
        // Anybody can have a topic that posts here, signed as well by AWS.
        let topic = self.get("/TopicArn")?;
        if !topics.iter().any(|own| *own == *topic) {
            return Err(Refusal::Mismatch);
        }
        fresh(&self.get("/Timestamp")?, scheme, now_s)?;
        self.algorithm()?;
        self.message()?;
        signature(&self.get("/Signature")?).map(drop)
    }
}

fn sns(
    scheme: &CertifiedScheme,
    topics: &[String],
    key: &CertifiedKey,
    request: &Request<'_>,
    now_s: u64,
) -> Result<Certified, Refusal> {
    let notification = Notification::read(request.body);
    notification.suits(scheme, topics, now_s)?;
    let message = notification.message()?;
    signed(key, notification.algorithm()?, message.as_bytes(), &notification.get("/Signature")?)?;
    if *notification.get("/Type")? != *"SubscriptionConfirmation" {
        return Ok(Certified::Event);
    }
    let url = notification.get("/SubscribeURL")?;
    let own = scheme.issuer.confirms(&url);
    own.then(|| Certified::Confirm(url.into_owned())).ok_or(Refusal::Malformed)
}

/// What PayPal says of a request, in its headers.
struct Transmission<'r> {
    id: Cow<'r, str>,
    time: Cow<'r, str>,
    signature: Cow<'r, str>,
}

impl<'r> Transmission<'r> {
    fn read(request: &Request<'r>) -> Result<Self, Refusal> {
        if !header(request, &AUTH_ALGO)?.eq_ignore_ascii_case("SHA256withRSA") {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            id: header(request, &TRANSMISSION_ID)?,
            time: header(request, &TRANSMISSION_TIME)?,
            signature: header(request, &TRANSMISSION_SIG)?,
        })
    }

    fn suits(&self, scheme: &CertifiedScheme, now_s: u64) -> Result<(), Refusal> {
        signature(&self.signature)?;
        fresh(&self.time, scheme, now_s)
    }
}

/// developer.paypal.com/api/rest/webhooks/rest: id, time, webhook id and the
/// body's CRC-32 in decimal, with `|` between them.
fn paypal(
    scheme: &CertifiedScheme,
    webhook_id: &str,
    key: &CertifiedKey,
    request: &Request<'_>,
    now_s: u64,
) -> Result<(), Refusal> {
    let transmission = Transmission::read(request)?;
    transmission.suits(scheme, now_s)?;
    let Transmission { id, time, signature } = transmission;
    let crc = crc32fast::hash(request.body);
    let message = format!("{id}|{time}|{webhook_id}|{crc}");
    signed(key, &RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
}

fn signed(
    key: &CertifiedKey,
    algorithm: &'static RsaParameters,
    message: &[u8],
    signature: &str,
) -> Result<(), Refusal> {
    let signature = self::signature(signature)?;
    let verified = UnparsedPublicKey::new(algorithm, &key.rsa).verify(message, &signature);
    verified.map_err(|_| Refusal::Mismatch)
}

/// Decodes it. RSA's is as long as the key: 2048 to 8192 bits.
fn signature(text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = STANDARD.decode(text).map_err(|_| Refusal::Malformed)?;
    if (256..=1024).contains(&bytes.len()) { Ok(bytes) } else { Err(Refusal::Malformed) }
}

fn fresh(time: &str, scheme: &CertifiedScheme, now_s: u64) -> Result<(), Refusal> {
    let at = parse_moment(time).ok_or(Refusal::Malformed)?;
    let far = now_s.abs_diff(at) > scheme.tolerance.as_secs();
    if far { Err(Refusal::Stale) } else { Ok(()) }
}

fn header<'r>(request: &Request<'r>, name: &HeaderName) -> Result<Cow<'r, str>, Refusal> {
    let value = single(request.headers, name)?.ok_or(Refusal::Missing)?;
    std::str::from_utf8(value).map(Cow::Borrowed).map_err(|_| Refusal::Malformed)
}
