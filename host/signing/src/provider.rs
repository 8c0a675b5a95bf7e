//! Signs a request as a source's provider would: for samples, demos and tests.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::jwt;
use super::signed::{Parts, Signed};

use super::{
    Algorithm, ApiKeyPlace, Encoding, HmacScheme, Key, Part, Place, PresetScheme, Proof, Request,
    Secret, Time, TokenPlace, Unit, Verify,
};
use hookwright_model::date::moment_s;

/// What a provider would send.
#[derive(Debug, Clone, Copy)]
pub struct Draft<'d> {
    /// Of the delivery.
    pub id: &'d str,
    /// Seconds since 1970.
    pub at_s: u64,
    /// None: the preset's example.
    pub kind: Option<&'d str>,
    /// None: a small one of the provider's shape.
    pub body: Option<&'d [u8]>,
}

/// A request that a source takes as its provider's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sent {
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The URL's query, without the `?`.
    pub query: Option<String>,
    /// The body that was signed.
    pub body: Vec<u8>,
}

impl Sent {
    fn header(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_owned(), value.into()));
    }
}

/// A request that is acceptable to a source that verifies by `verify`, by its
/// first secret. A body that is given stays as it is, unless the scheme signs
/// by a field in it. None where only the provider can sign, or there is no secret.
pub fn sign_as_provider(verify: &Verify, draft: &Draft<'_>) -> Option<Sent> {
    let secret = match verify.secrets().first().map(|first| &first.key) {
        Some(Key::Shared(secret) | Key::Either(secret, _)) => Some(secret),
        Some(Key::Ed25519(_) | Key::P256(_)) => return None,
        None => None,
    };
    let algorithm = match verify {
        Verify::Hmac(scheme) => scheme.algorithm,
        Verify::Preset(PresetScheme { preset, .. }) => match &preset.proof {
            Proof::Signed(signed) => signed.algorithm,
            Proof::Token(_) => Algorithm::Sha256,
        },
        Verify::None | Verify::ApiKey(_) | Verify::Jwt(_) | Verify::Certified(_) => {
            Algorithm::Sha256
        }
    };
    if secret.is_none() && !matches!(verify, Verify::None) {
        return None;
    }
    sign_with(verify, draft, &|message| {
        secret.map_or_else(Vec::new, |secret| mac(algorithm, secret, message))
    })
}

/// The same, signed by `sign`: for those who have a provider's private key.
pub fn sign_with(
    verify: &Verify,
    draft: &Draft<'_>,
    sign: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Option<Sent> {
    let given = draft.body.unwrap_or(b"{}").to_vec();
    match verify {
        Verify::None => Some(Sent { body: given, ..Sent::default() }),
        // Only the provider has the key.
        Verify::Certified(_) => None,
        Verify::Preset(scheme) => preset(scheme, draft, sign),
        Verify::Jwt(scheme) => {
            let token = jwt::token(scheme, draft.at_s, sign)?;
            let headers = vec![("authorization".to_owned(), format!("Bearer {token}"))];
            Some(Sent { headers, body: given, query: None })
        }
        Verify::Hmac(HmacScheme { header, prefix, encoding, .. }) => {
            let value = format!("{prefix}{}", encode(&sign(&given), *encoding));
            let headers = vec![(header.to_string(), value)];
            Some(Sent { headers, body: given, query: None })
        }
        Verify::ApiKey(scheme) => {
            let token = token(verify)?;
            let mut sent = Sent { body: given, ..Sent::default() };
            match &scheme.place {
                ApiKeyPlace::Header(name) => sent.header(name.as_str(), token),
                ApiKeyPlace::Query(name) => sent.query = Some(parameter(name, &token)),
            }
            Some(sent)
        }
    }
}

fn preset(
    scheme: &PresetScheme,
    draft: &Draft<'_>,
    sign: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Option<Sent> {
    let preset = scheme.preset;
    let mut sent = Sent::default();
    let mut fields = Vec::new();
    let time = preset.time.map(|time| written(&time, draft.at_s));
    let mut put = |place: Option<Place>, value: Value, wanted: bool| match place.map(Place::usual) {
        Some(Place::Header(names)) => sent.header(names[0], plain(&value)),
        Some(Place::Json(pointer)) if wanted => fields.push((pointer, value)),
        _ => {}
    };
    let made = draft.body.is_none();
    put(preset.kind, draft.kind.unwrap_or(preset.example).into(), made);
    put(preset.id, draft.id.into(), made || preset.signs(Part::Id));
    put(preset.time.map(|time| time.place), time.clone().unwrap_or_default(), true);
    sent.body = body(scheme, draft, fields);
    match &preset.proof {
        Proof::Token(places) => {
            let token = token(&Verify::Preset(scheme.clone()))?;
            match places[0] {
                TokenPlace::Basic => {
                    let digits = STANDARD.encode(&token);
                    sent.header("authorization", format!("Basic {digits}"));
                }
                TokenPlace::Bearer => sent.header("authorization", format!("Bearer {token}")),
                TokenPlace::Header(name) => sent.header(name, token),
                TokenPlace::Query(name) => sent.query = Some(parameter(name, &token)),
                TokenPlace::ClientState => {
                    sent.body = with(&sent.body, vec![("/value/0/clientState", token.into())]);
                }
            }
        }
        Proof::Signed(signed) => {
            let text = time.as_ref().map(plain).unwrap_or_default();
            let message = message(&Signed::of(signed, scheme), &sent, draft.id, &text)?;
            let signature = encode(&sign(&message), signed.encoding);
            let place = &signed.signature;
            let public = matches!(scheme.secrets.first()?.key, Key::Ed25519(_));
            let public = public && !place.public_prefix.is_empty();
            let prefix = if public { place.public_prefix } else { place.prefix };
            let mut value = format!("{prefix}{signature}");
            if let Some(Place::Entry(name)) = preset.time.map(|time| time.place.usual()) {
                let separator = char::from(place.separator.unwrap_or(b','));
                value = format!("{name}{text}{separator}{value}");
            }
            match place.json {
                Some(pointer) => sent.body = with(&sent.body, vec![(pointer, value.into())]),
                None => sent.header(place.headers.first()?, value),
            }
        }
    }
    Some(sent)
}

/// The caller's body, or a small one; with what the scheme wants in it.
fn body(scheme: &PresetScheme, draft: &Draft<'_>, fields: Vec<(&str, Value)>) -> Vec<u8> {
    let given = match draft.body {
        Some(body) => body,
        None if scheme.preset.signs(Part::TwilioForm) => {
            b"MessageStatus=delivered&To=%2B15005550006"
        }
        None => b"",
    };
    if fields.is_empty() && !(given.is_empty() && draft.body.is_none()) {
        return given.to_vec();
    }
    with(given, fields)
}

/// JSON with these fields at these pointers; a body that is not JSON is replaced.
fn with(body: &[u8], fields: Vec<(&str, Value)>) -> Vec<u8> {
    let mut root = serde_json::from_slice(body).unwrap_or_else(|_| Value::Object(Map::new()));
    for (pointer, value) in fields {
        let mut place = &mut root;
        for token in pointer.split('/').skip(1) {
            // Tokens of the table are plain: a name, or the first of a list.
            place = if token == "0" {
                if !place.is_array() {
                    *place = Value::Array(vec![Value::Null]);
                }
                &mut place[0]
            } else {
                if !place.is_object() {
                    *place = Value::Object(Map::new());
                }
                &mut place[token]
            };
        }
        *place = value;
    }
    root.to_string().into_bytes()
}

fn message(signed: &Signed, sent: &Sent, id: &str, time: &str) -> Option<Vec<u8>> {
    let mut headers = HeaderMap::new();
    for (name, value) in &sent.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        headers.insert(name, HeaderValue::from_str(value).ok()?);
    }
    let query = sent.query.as_deref();
    let request = Request { method: &Method::POST, query, headers: &headers, body: &sent.body };
    let url = signed.urls.at(&request, 0)?;
    let made = signed.made(&request).ok()?;
    let parts = Parts { id: id.as_bytes(), time: time.as_bytes(), url: &url, made: &made };
    Some(signed.message(&request, &parts).parts().concat())
}

fn written(time: &Time, at_s: u64) -> Value {
    match time.unit {
        Unit::Seconds => at_s.to_string().into(),
        Unit::Millis => at_s.saturating_mul(1_000).into(),
        Unit::Date => moment_s(at_s).into(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn token(verify: &Verify) -> Option<String> {
    match &verify.secrets().first()?.key {
        Key::Shared(secret) => Some(String::from_utf8_lossy(secret.expose()).into_owned()),
        Key::Either(..) | Key::Ed25519(_) | Key::P256(_) => None,
    }
}

fn parameter(name: &str, value: &str) -> String {
    let escaped: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    format!("{name}={escaped}")
}

fn encode(bytes: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Hex => hex::encode(bytes),
        Encoding::Base64 => STANDARD.encode(bytes),
    }
}

fn mac(algorithm: Algorithm, secret: &Secret, message: &[u8]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
        let keyed = <M as KeyInit>::new_from_slice(key);
        let mut mac = keyed.expect("an HMAC takes a key of any length");
        mac.update(message);
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        Algorithm::Sha1 => of::<Hmac<Sha1>>(secret.expose(), message),
        Algorithm::Sha512 => of::<Hmac<Sha512>>(secret.expose(), message),
        _ => of::<Hmac<Sha256>>(secret.expose(), message),
    }
}
