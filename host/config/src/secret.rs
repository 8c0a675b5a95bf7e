//! Secrets by reference: `env:NAME`, `file:PATH`, or in clear as `dangerous_plain:TEXT`.
use http::{HeaderName, HeaderValue};

use super::kind::{Kind, header, mismatch};
use super::reader::At;
use super::tree::{Origin, Value};
use super::unit::{Fault, quote};
use hookwright_signing::{Credential, Jwk, Key, KeyError, KeyForm, Secret, SigningKey};

/// Turns what a reference led to into a key. The fault must not show it.
type Shape = fn(&[u8]) -> Result<Secret, Fault>;

/// A secret; `shape` says what its bytes must be.
pub(super) struct SecretRef(pub(super) Shape);

/// Anything but nothing.
pub(super) const ANY: SecretRef = SecretRef(|bytes| Ok(Secret::new(bytes)));

impl Kind for SecretRef {
    type Value = Secret;

    fn name(&self) -> String {
        "secret".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Secret> {
        let bytes = bytes(at)?;
        (self.0)(&bytes).or_else(|fault| at.wrong(fault).ok_or(())).ok()
    }
}

/// What a reference leads to.
pub(super) fn bytes(at: &At<'_, '_>) -> Option<Vec<u8>> {
    let Some(text) = at.node.text() else {
        return mismatch(at, "a secret", "\"env:NAME\"");
    };
    match reference(text) {
        Some(reference) => resolve(at, reference),
        None => {
            let help = "write `env:NAME` or `file:PATH`, or `dangerous_plain:…` if you must";
            at.wrong(Fault::new("a secret must not stand here in clear text", help))
        }
    }
}

/// What a text leads to, where it is a reference to a secret: for settings that may
/// also stand in clear. The inner none was reported.
pub(super) fn referenced(at: &At<'_, '_>, text: &str) -> Option<Option<Vec<u8>>> {
    reference(text).map(|reference| resolve(at, reference))
}

/// A key in the scheme's form: its reference alone, or a table with the time
/// in which it counts.
pub(super) struct Dated<K> {
    form: KeyForm,
    read: fn(KeyForm, &[u8]) -> Result<K, KeyError>,
}

impl Dated<Key> {
    /// One that a source is checked with.
    pub(super) fn checking(form: KeyForm) -> Self {
        Self { form, read: KeyForm::read }
    }
}

impl Dated<SigningKey> {
    /// One that deliveries are signed with.
    pub(super) fn signing(form: KeyForm) -> Self {
        Self { form, read: KeyForm::read_signing }
    }
}

impl<K> Kind for Dated<K> {
    type Value = Credential<K>;

    fn name(&self) -> String {
        "secret or `{ secret, from, until }`".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Credential<K>> {
        let Value::Table(table) = &at.node.value else {
            return self.key(at).map(Credential::always);
        };
        let (mut credential, mut good) = (None, true);
        let (mut from_s, mut until_s) = (0, u64::MAX);
        for (key, entry) in table {
            let path = format!("{}.{}", at.path, quote(key).trim_matches('`'));
            let value = At { node: &entry.node, path, key, ..at.clone() };
            match key.as_str() {
                "secret" => {
                    credential = self.key(&value);
                    good &= credential.is_some();
                }
                "from" => good &= date(&value).map(|date| from_s = date).is_some(),
                "until" => good &= date(&value).map(|date| until_s = date).is_some(),
                _ => {
                    let fault = Fault::new("unknown key", "known are `secret`, `from`, `until`");
                    at.reader.mistake(&entry.key, &value.path, fault);
                    good = false;
                }
            }
        }
        if !table.contains_key("secret") {
            let help = "add `secret = \"env:NAME\"`";
            return at.wrong(Fault::new("has no `secret`", help));
        }
        if from_s >= until_s {
            let help = "make `until` later than `from`";
            return at.wrong(Fault::new("would never count: it ends before it begins", help));
        }
        if good && until_s <= at.reader.sources.now_s {
            let fault = Fault::new("is past its `until`: it counts no more", "remove it");
            at.reader.warning(&at.node.origin, &at.path, fault);
        }
        let key = credential.filter(|_| good)?;
        Some(Credential { key, from_s, until_s })
    }
}

impl<K> Dated<K> {
    fn key(&self, at: &At<'_, '_>) -> Option<K> {
        let read = (self.read)(self.form, &bytes(at)?);
        read.map_err(|error| at.wrong::<()>(Fault::new(error.to_string(), error.help()))).ok()
    }
}

/// A JSON Web Key Set by reference. It is no secret, but lives where secrets do.
pub(super) struct Jwks;

impl Kind for Jwks {
    type Value = Vec<Jwk>;

    fn name(&self) -> String {
        "`file:PATH` or `env:NAME`".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Vec<Jwk>> {
        let read = hookwright_signing::jwks(&bytes(at)?);
        let help = "give it the document at the issuer's `jwks_uri`";
        read.map_err(|error| at.wrong::<()>(Fault::new(error.to_string(), help))).ok()
    }
}

/// Seconds since 1970.
fn date(at: &At<'_, '_>) -> Option<u64> {
    at.public();
    let text = match &at.node.value {
        Value::Date(text) => Some(text.as_str()),
        _ => at.node.text(),
    };
    let help = "write it in UTC, as `\"2026-12-01\"` or `\"2026-12-01T12:00:00Z\"`";
    let Some(text) = text else { return mismatch(at, "a date", "\"2026-12-01\"") };
    let seconds = hookwright_model::date::parse_moment(text);
    seconds.or_else(|| at.wrong(Fault::new(format!("{} is no date", quote(text)), help)))
}

enum Reference<'a> {
    Env(&'a str),
    File(&'a str),
    Plain(&'a str),
}

fn reference(text: &str) -> Option<Reference<'_>> {
    let (scheme, rest) = text.split_once(':')?;
    match scheme {
        "env" => Some(Reference::Env(rest)),
        "file" => Some(Reference::File(rest)),
        "dangerous_plain" => Some(Reference::Plain(rest)),
        _ => None,
    }
}

/// The bytes that a reference leads to, without the newline at their end; never none of them.
fn resolve(at: &At<'_, '_>, reference: Reference<'_>) -> Option<Vec<u8>> {
    let sources = at.reader.sources;
    let (mut bytes, place) = match reference {
        Reference::Env(name) => {
            at.public();
            let Some(value) = sources.env.get(name) else {
                let message = format!("the environment variable {} is not set", quote(name));
                return at.wrong(Fault::new(message, format!("set {}", quote(name))));
            };
            (value.as_encoded_bytes().to_vec(), format!("the environment variable {}", quote(name)))
        }
        Reference::File(path) => {
            at.public();
            let path = at.reader.base.join(path);
            let place = format!("the file {}", quote(&path.to_string_lossy()));
            match (sources.read)(&path) {
                Ok(bytes) => (bytes, place),
                Err(error) => {
                    let message = format!("{place} can't be read: {error}");
                    return at.wrong(Fault::new(message, "check the path and its permissions"));
                }
            }
        }
        Reference::Plain(text) => (text.as_bytes().to_vec(), "the secret".to_owned()),
    };
    while let Some(b'\n' | b'\r') = bytes.last() {
        bytes.pop();
    }
    at.holds(&bytes);
    if bytes.is_empty() {
        return at.wrong(Fault::new(format!("{place} is empty"), "write the secret there"));
    }
    Some(bytes)
}

/// Extra headers of a destination: a table of names and values, each value a
/// text or the reference of a secret.
pub(super) struct Headers;

/// What the host writes itself.
const OWNED: [&str; 14] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

impl Kind for Headers {
    type Value = Vec<(HeaderName, HeaderValue)>;

    fn name(&self) -> String {
        "table of header names and values".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Self::Value> {
        let Value::Table(table) = &at.node.value else {
            return mismatch(at, "a table", "{ x-api-key = \"env:NAME\" }");
        };
        let mut headers: Self::Value = Vec::with_capacity(table.len());
        for (key, entry) in table {
            let name = quote(key);
            let path = format!("{}.{}", at.path, name.trim_matches('`'));
            let wrong = |origin: &Origin, fault| at.reader.mistake(origin, &path, fault);
            let value = At { node: &entry.node, path: path.clone(), key, ..at.clone() };
            match header(key) {
                Err(fault) => wrong(&entry.key, fault),
                Ok(name) if is_owned(name.as_str()) => {
                    let message = "Hookwright writes this header itself";
                    wrong(&entry.key, Fault::new(message, "remove it"));
                }
                Ok(name) if headers.iter().any(|(earlier, _)| *earlier == name) => {
                    wrong(&entry.key, Fault::new("stands in the table twice", "remove one"));
                }
                Ok(name) => {
                    let clear = name != "authorization" && name != "cookie";
                    headers.extend(header_value(&value, clear).map(|value| (name, value)));
                }
            }
        }
        Some(headers)
    }
}

pub(super) fn is_owned(name: &str) -> bool {
    OWNED.contains(&name) || name.starts_with("webhook-") || name.starts_with("hookwright-")
}

/// In `clear` text, or from a reference: then it is marked as sensitive.
fn header_value(at: &At<'_, '_>, clear: bool) -> Option<HeaderValue> {
    let Some(text) = at.node.text() else { return mismatch(at, "text", "\"…\"") };
    let bytes = match reference(text) {
        None if clear => text.as_bytes().to_vec(),
        _ => ANY.read(at)?.expose().to_vec(),
    };
    let Ok(mut value) = HeaderValue::from_bytes(&bytes) else {
        let help = "a header value is one line without control characters";
        return at.wrong(Fault::new("is no header value", help));
    };
    value.set_sensitive(reference(text).is_some());
    Some(value)
}
