//! Signatures by a certificate that the request names: AWS SNS and PayPal.
//!
//! Pure: whoever calls fetches the certificate, over TLS and from hosts of the
//! provider alone, which is what makes it the provider's.
use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, Uri};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::oid::ObjectIdentifier;

use super::Refusal;
use super::request::Request;
use super::scheme::{CertifiedScheme, Issuer};
use super::time::seconds_of_date;
use super::verifier::{in_body, single};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Longer URLs are none of a provider's.
const MAX_URL: usize = 512;

static TRANSMISSION_ID: HeaderName = HeaderName::from_static("paypal-transmission-id");
static TRANSMISSION_TIME: HeaderName = HeaderName::from_static("paypal-transmission-time");
static TRANSMISSION_SIG: HeaderName = HeaderName::from_static("paypal-transmission-sig");
static CERT_URL: HeaderName = HeaderName::from_static("paypal-cert-url");
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
        let der = rustls_pemfile::certs(&mut &*pem).next()?.ok()?;
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

impl Issuer {
    /// Where the request says that its certificate is.
    ///
    /// # Errors
    /// It says nothing, or names a place that is not the provider's.
    pub(super) fn certificate<'r>(&self, request: &Request<'r>) -> Result<Cow<'r, str>, Refusal> {
        let url = match self {
            Self::Sns { .. } => {
                let named = text(request.body, "/SigningCertURL");
                // The name in messages of signature version 1 by some SDKs.
                named.or_else(|_| text(request.body, "/SigningCertUrl"))?
            }
            Self::PayPal { .. } => header(request, &CERT_URL)?,
        };
        self.is_own(&url, ".pem").then_some(url).ok_or(Refusal::Malformed)
    }

    /// Whether the URL leads to the provider, over TLS and on the usual port.
    fn is_own(&self, url: &str, end: &str) -> bool {
        let Ok(uri) = url.parse::<Uri>() else { return false };
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let plain = uri.authority().is_some_and(|own| own.as_str().eq_ignore_ascii_case(&host));
        if uri.scheme_str() != Some("https") || !plain || url.len() > MAX_URL {
            return false;
        }
        match self {
            Self::Sns { .. } => is_sns(&host) && uri.path().ends_with(end),
            Self::PayPal { .. } => {
                matches!(host.as_str(), "api.paypal.com" | "api.sandbox.paypal.com")
            }
        }
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

/// docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html:
/// names and values, each with a line end, in the order of the names.
const NOTIFICATION: &[&str] = &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: &[&str] =
    &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

fn sns(
    scheme: &CertifiedScheme,
    topics: &[String],
    key: &CertifiedKey,
    request: &Request<'_>,
    now_s: u64,
) -> Result<Certified, Refusal> {
    let field = |name: &str| text(request.body, &format!("/{name}"));
    let kind = field("Type")?;
    let names = match &*kind {
        "Notification" => NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => CONFIRMATION,
        _ => return Err(Refusal::Malformed),
    };
    let mut message = String::new();
    for name in names {
        match field(name) {
            Ok(value) => message.extend([name, "\n", &*value, "\n"]),
            // The one that need not be there.
            Err(_) if *name == "Subject" => {}
            Err(refusal) => return Err(refusal),
        }
    }
    let algorithm = match &*field("SignatureVersion")? {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "2" => &RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(Refusal::Malformed),
    };
    signed(key, algorithm, message.as_bytes(), &field("Signature")?)?;
    // Anybody can have a topic that posts here, signed as well by AWS.
    let topic = field("TopicArn")?;
    if !topics.iter().any(|own| *own == *topic) {
        return Err(Refusal::Mismatch);
    }
    fresh(&field("Timestamp")?, scheme, now_s)?;
    if kind != "SubscriptionConfirmation" {
        return Ok(Certified::Event);
    }
    let url = field("SubscribeURL")?;
    let own = scheme.issuer.is_own(&url, "/");
    own.then(|| Certified::Confirm(url.into_owned())).ok_or(Refusal::Malformed)
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
    let (id, time) = (header(request, &TRANSMISSION_ID)?, header(request, &TRANSMISSION_TIME)?);
    if !header(request, &AUTH_ALGO)?.eq_ignore_ascii_case("SHA256withRSA") {
        return Err(Refusal::Malformed);
    }
    let crc = crc32fast::hash(request.body);
    let message = format!("{id}|{time}|{webhook_id}|{crc}");
    let signature = header(request, &TRANSMISSION_SIG)?;
    signed(key, &RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)?;
    fresh(&time, scheme, now_s)
}

fn signed(
    key: &CertifiedKey,
    algorithm: &'static RsaParameters,
    message: &[u8],
    signature: &str,
) -> Result<(), Refusal> {
    let signature = STANDARD.decode(signature).map_err(|_| Refusal::Malformed)?;
    let verified = UnparsedPublicKey::new(algorithm, &key.rsa).verify(message, &signature);
    verified.map_err(|_| Refusal::Mismatch)
}

fn fresh(time: &str, scheme: &CertifiedScheme, now_s: u64) -> Result<(), Refusal> {
    let at = seconds_of_date(time).ok_or(Refusal::Malformed)?;
    let far = now_s.abs_diff(at) > scheme.tolerance.as_secs();
    if far { Err(Refusal::Stale) } else { Ok(()) }
}

fn text<'b>(body: &'b [u8], pointer: &str) -> Result<Cow<'b, str>, Refusal> {
    let value = in_body(body, pointer).ok_or(Refusal::Missing)?;
    match value {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|e| e.utf8_error()),
    }
    .map_err(|_| Refusal::Malformed)
}

fn header<'r>(request: &Request<'r>, name: &HeaderName) -> Result<Cow<'r, str>, Refusal> {
    let value = single(request.headers, name)?.ok_or(Refusal::Missing)?;
    std::str::from_utf8(value).map(Cow::Borrowed).map_err(|_| Refusal::Malformed)
}
