//! Every scheme of the host with keys of its own, and requests that its provider would send.
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookwright_signing::{
    Algorithm, ApiKeyPlace, ApiKeyScheme, Draft, Encoding, HmacScheme, JwtKeys, JwtScheme, Key,
    KeyForm, Preset, PresetScheme, Proof, Refusal, Request, Secret, Sent, Verified, Verifier,
    Verify, jwks, presets, sign_as_provider, sign_with,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

/// Where the providers that sign the URL post to.
pub const URL: &str = "https://hooks.example.com/in/source";
/// When everything here is sent, seconds since 1970.
pub const AT: u64 = 1_764_000_000;

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// One scheme, ready to check and to sign.
pub struct Case {
    pub name: String,
    pub verify: Verify,
    pub verifier: Verifier,
    /// What only the provider has, where it signs with a private key.
    private: Option<Sign>,
}

impl Case {
    /// Every scheme, and the variants of those that have some.
    pub fn all() -> Vec<Self> {
        let mut all: Vec<Self> = presets::ALL.into_iter().map(|one| Self::of(one, 1)).collect();
        let (key, sign) = ed25519(3);
        all.push(Self::new("standard, v1a", scheme(&presets::STANDARD, key), Some(sign)));
        for (name, algorithm, encoding) in [
            ("hmac sha1", Algorithm::Sha1, Encoding::Hex),
            ("hmac sha256", Algorithm::Sha256, Encoding::Base64),
            ("hmac sha512", Algorithm::Sha512, Encoding::Hex),
        ] {
            let header = HeaderName::from_static("x-signature");
            let (secrets, prefix) = (vec![Secret::new("hmac key").into()], "sig=".to_owned());
            let scheme = HmacScheme { header, algorithm, encoding, prefix, secrets };
            all.push(Self::new(name, Verify::Hmac(scheme), None));
        }
        let header = ApiKeyPlace::Header(HeaderName::from_static("x-own-key"));
        for (name, place) in
            [("api-key header", header), ("api-key query", ApiKeyPlace::Query("key".to_owned()))]
        {
            let secrets = vec![Secret::new("0123456789abcdef").into()];
            all.push(Self::new(name, Verify::ApiKey(ApiKeyScheme { place, secrets }), None));
        }
        let (scheme, sign) = jwt(4);
        all.push(Self::new("jwt", Verify::Jwt(scheme), Some(sign)));
        all
    }

    /// A provider's scheme with keys made from the number.
    pub fn of(preset: &'static Preset, number: u8) -> Self {
        let (key, private) = match preset.key {
            KeyForm::Ed25519 => {
                let (key, sign) = ed25519(number);
                (key, Some(sign))
            }
            KeyForm::P256 => {
                let (key, sign) = p256();
                (key, Some(sign))
            }
            KeyForm::UserPassword => (Key::Shared(Secret::new(format!("user:{number}"))), None),
            KeyForm::Text | KeyForm::Polar => {
                (Key::Shared(Secret::new(format!("secret number {number}"))), None)
            }
            KeyForm::Standard | KeyForm::Hex => (Key::Shared(Secret::new([number; 32])), None),
        };
        Self::new(preset.name, scheme(preset, key), private)
    }

    fn new(name: &str, verify: Verify, private: Option<Sign>) -> Self {
        Self { name: name.to_owned(), verifier: Verifier::new(&verify), verify, private }
    }

    /// The provider's request.
    pub fn sent(&self, draft: &Draft<'_>) -> Sent {
        let sent = match &self.private {
            Some(sign) => sign_with(&self.verify, draft, sign),
            None => sign_as_provider(&self.verify, draft),
        };
        sent.unwrap_or_else(|| panic!("nobody signs for {}", self.name))
    }

    /// The table's entry, where the scheme is one of a provider.
    pub fn preset(&self) -> Option<&'static Preset> {
        match &self.verify {
            Verify::Preset(scheme) => Some(scheme.preset),
            _ => None,
        }
    }

    /// Whether the whole body is signed as it stands.
    pub fn signs_body(&self) -> bool {
        match &self.verify {
            Verify::Hmac(_) => true,
            Verify::Preset(scheme) => scheme.preset.signs(hookwright_signing::Part::Body),
            Verify::None | Verify::ApiKey(_) | Verify::Jwt(_) | Verify::Certified(_) => false,
        }
    }

    /// The headers whose change must be noticed.
    pub fn headers(&self) -> Vec<&str> {
        match &self.verify {
            Verify::None => Vec::new(),
            Verify::Hmac(scheme) => vec![scheme.header.as_str()],
            Verify::ApiKey(ApiKeyScheme { place: ApiKeyPlace::Header(name), .. }) => {
                vec![name.as_str()]
            }
            Verify::ApiKey(_) | Verify::Certified(_) => Vec::new(),
            Verify::Jwt(_) => vec!["authorization"],
            Verify::Preset(scheme) => of_preset(scheme.preset),
        }
    }

    /// How far the time may be off; none where there is none.
    pub fn tolerance(&self) -> Option<Duration> {
        match &self.verify {
            Verify::Preset(scheme) => scheme.preset.time.map(|_| scheme.tolerance),
            _ => None,
        }
    }
}

fn of_preset(preset: &'static Preset) -> Vec<&'static str> {
    use hookwright_signing::{Part, Place, TokenPlace};
    let mut names = match &preset.proof {
        Proof::Signed(signed) => signed.signature.headers.to_vec(),
        Proof::Token(places) => places
            .iter()
            .filter_map(|place| match place {
                TokenPlace::Basic | TokenPlace::Bearer => Some("authorization"),
                TokenPlace::Header(name) => Some(*name),
                TokenPlace::Query(_) | TokenPlace::ClientState => None,
            })
            .collect(),
    };
    let signed = [preset.time.map(|time| time.place), preset.id.filter(|_| preset.signs(Part::Id))];
    for place in signed.into_iter().flatten() {
        if let Place::Header(more) = place {
            names.extend(more);
        }
    }
    names
}

fn scheme(preset: &'static Preset, key: Key) -> Verify {
    let url = preset.signs_url().then(|| URL.to_owned());
    Verify::Preset(PresetScheme { url, ..PresetScheme::new(preset, [key]) })
}

fn ed25519(number: u8) -> (Key, Sign) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).expect("32 bytes are a seed");
    let public = pair.public_key().as_ref().try_into().expect("a public key has 32 bytes");
    (Key::Ed25519(public), Box::new(move |message| pair.sign(message).as_ref().to_vec()))
}

fn jwt(number: u8) -> (JwtScheme, Sign) {
    let (Key::Ed25519(key), sign) = ed25519(number) else { unreachable!("it is one") };
    let x = URL_SAFE_NO_PAD.encode(key);
    let set = serde_json::json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] });
    let keys = jwks(set.to_string().as_bytes()).expect("a set");
    let (issuer, audience) = (Some("https://issuer.example".to_owned()), "hookwright".to_owned());
    (
        JwtScheme {
            keys: JwtKeys::Set(keys),
            issuer,
            audience,
            claims: Vec::new(),
            tolerance: Duration::from_secs(60),
        },
        sign,
    )
}

fn p256() -> (Key, Sign) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a new key");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("the key");
    let public = pair.public_key().as_ref().try_into().expect("a point has 65 bytes");
    let sign =
        move |message: &[u8]| pair.sign(&random, message).expect("a signature").as_ref().to_vec();
    (Key::P256(public), Box::new(sign))
}

/// What was sent, as a receiver has it; none where no connection carries it.
pub fn received(sent: &Sent) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for (name, value) in &sent.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).ok()?);
    }
    Some(map)
}

/// Checks what was sent by POST.
///
/// # Errors
/// As the verifier.
pub fn check(
    verifier: &Verifier,
    headers: &HeaderMap,
    sent: &Sent,
    at_s: u64,
) -> Result<Verified, Refusal> {
    let query = sent.query.as_deref();
    let request = Request { method: &Method::POST, query, headers, body: &sent.body };
    verifier.verify(&request, at_s)
}
