//! `verify` of a source: the scheme by which its requests prove that they are its own.
use std::time::Duration;

use http::HeaderName;

use super::kind::{Choice, DURATION, HEADER, List, Text};
use super::reader::Section;
use super::secret;
use super::tree::Value;
use super::unit::Fault;
use crate::signing::{Algorithm, Encoding, HmacScheme, Secret, Verify};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    None,
    Standard,
    Github,
    Stripe,
    Hmac,
    Basic,
    Bearer,
}

const SCHEMES: Choice<Scheme> = Choice(&[
    ("none", Scheme::None),
    ("standard", Scheme::Standard),
    ("github", Scheme::Github),
    ("stripe", Scheme::Stripe),
    ("hmac", Scheme::Hmac),
    ("basic", Scheme::Basic),
    ("bearer", Scheme::Bearer),
]);

const ALGORITHMS: Choice<Algorithm> = Choice(&[
    ("sha1", Algorithm::Sha1),
    ("sha256", Algorithm::Sha256),
    ("sha512", Algorithm::Sha512),
]);

const ENCODINGS: Choice<Encoding> = Choice(&[("hex", Encoding::Hex), ("base64", Encoding::Base64)]);

const PREFIX: Text<String> =
    Text { name: "text", example: "\"sha256=\"", unit: "", parse: |text| Ok(text.to_owned()) };

impl Scheme {
    pub(super) fn as_str(self) -> &'static str {
        let named = SCHEMES.0.iter().find(|(_, scheme)| *scheme == self);
        named.map_or("", |(name, _)| name)
    }

    /// The keys of `verify` that mean something with the scheme.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::None => &["scheme"],
            Self::Standard | Self::Stripe => &["scheme", "secrets", "tolerance"],
            Self::Github | Self::Basic | Self::Bearer => &["scheme", "secrets"],
            Self::Hmac => &["scheme", "secrets", "header", "algorithm", "encoding", "prefix"],
        }
    }
}

/// The scheme is known even where the rest is wrong: other defaults depend on it.
pub(super) fn read(s: &Section<'_, '_>) -> (Option<Scheme>, Option<Verify>) {
    let doc = "`none` lets anybody post. `standard` is Standard Webhooks. `hmac` is an HMAC over the body in a header of your choice.";
    let scheme = s.key("scheme", SCHEMES, doc).required();
    let shape = match scheme {
        Some(Scheme::Standard) => secret::STANDARD,
        Some(Scheme::Basic) => secret::BASIC,
        _ => secret::ANY,
    };
    let doc = "Any one of them may match, so a new one can come before the old one goes. For `basic`, each is `user:password`.";
    let secrets = s.key("secrets", List(shape), doc).optional("required unless `none`");
    let secrets = secrets.filter(|secrets| !secrets.is_empty() || scheme == Some(Scheme::None));
    let doc = "`standard`, `stripe`: how far the signed time may be from now.";
    let tolerance = s.key("tolerance", DURATION, doc).range("1s", "24h").default("5m");
    let header = s.key("header", HEADER, "`hmac`: where the signature stands.");
    let header = header.optional("required for `hmac`");
    let algorithm = s.key("algorithm", ALGORITHMS, "`hmac`: the hash.").default("sha256");
    let encoding = s.key("encoding", ENCODINGS, "`hmac`: of the signature.").default("hex");
    let doc = "`hmac`: stands before the signature in the header, `sha256=` for example.";
    let prefix = s.key("prefix", PREFIX, doc).default("");
    let Some(scheme) = scheme else { return (None, None) };
    s.only(scheme.keys(), &format!("scheme `{}`", scheme.as_str()));
    if scheme == Scheme::Hmac {
        s.missing("header", "add `header = \"x-signature\"`, the header that has the signature");
    }
    let hmac = Hmac { header, algorithm, encoding, prefix };
    (Some(scheme), verify(s, scheme, secrets, tolerance, hmac))
}

struct Hmac {
    header: Option<HeaderName>,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: String,
}

fn verify(
    s: &Section<'_, '_>,
    scheme: Scheme,
    secrets: Option<Vec<Secret>>,
    tolerance: Duration,
    hmac: Hmac,
) -> Option<Verify> {
    if scheme == Scheme::None {
        return Some(Verify::None);
    }
    need_secrets(s);
    let secrets = secrets?;
    Some(match scheme {
        Scheme::None => Verify::None,
        Scheme::Standard => Verify::Standard { secrets, tolerance },
        Scheme::Github => Verify::Github { secrets },
        Scheme::Stripe => Verify::Stripe { secrets, tolerance },
        Scheme::Basic => Verify::Basic { secrets },
        Scheme::Bearer => Verify::Bearer { secrets },
        Scheme::Hmac => {
            let Hmac { header, algorithm, encoding, prefix } = hmac;
            Verify::Hmac(HmacScheme { header: header?, algorithm, encoding, prefix, secrets })
        }
    })
}

/// Reports a list of secrets that is missing or empty.
pub(super) fn need_secrets(s: &Section<'_, '_>) {
    let help = "add `secrets = [\"env:NAME\"]`";
    s.missing("secrets", help);
    let written = s.entry("secrets").map(|entry| &entry.node.value);
    if matches!(written, Some(Value::List(items)) if items.is_empty()) {
        s.wrong("secrets", Fault::new("is empty: no request could match", help));
    }
}
