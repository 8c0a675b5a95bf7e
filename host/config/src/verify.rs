//! `verify` of a source: the scheme by which its requests prove that they are its own.
use std::sync::LazyLock;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::claims::{Claims, warn_of_anybody};
use super::kind::{Choice, DURATION, HEADER, List, Text};
use super::reader::Section;
use super::secret::{self, Dated, Jwks};
use super::tree::Value;
use super::unit::{Fault, quote};
use hookwright_settings::Selector;
use hookwright_signing::{
    Algorithm, ApiKeyPlace, ApiKeyScheme, CertifiedScheme, Claim, Credential, Encoding, Handshake,
    HmacScheme, Issuer, Jwk, JwtKeys, JwtScheme, KeyForm, Preset, PresetScheme, Secret, Verify,
    presets::{self, CLOUDEVENTS},
};

#[derive(Debug, Clone, Copy)]
pub(super) enum Scheme {
    None,
    Preset(&'static Preset),
    Hmac,
    ApiKey,
    Jwt,
    Sns,
    PayPal,
}

static SCHEMES: LazyLock<Vec<(&'static str, Scheme)>> = LazyLock::new(|| {
    let presets = presets::ALL.into_iter().map(|preset| (preset.name, Scheme::Preset(preset)));
    let own = [
        ("hmac", Scheme::Hmac),
        ("api-key", Scheme::ApiKey),
        ("jwt", Scheme::Jwt),
        ("sns", Scheme::Sns),
        ("paypal", Scheme::PayPal),
        ("none", Scheme::None),
    ];
    presets.chain(own).collect()
});

pub(super) const ALGORITHMS: Choice<Algorithm> = Choice(&[
    ("sha1", Algorithm::Sha1),
    ("sha256", Algorithm::Sha256),
    ("sha512", Algorithm::Sha512),
]);

pub(super) const ENCODINGS: Choice<Encoding> =
    Choice(&[("hex", Encoding::Hex), ("base64", Encoding::Base64)]);

const PREFIX: Text<String> =
    Text { name: "text", example: "\"sha256=\"", unit: "", parse: |text| Ok(text.to_owned()) };

const CLAIM: Text<String> = Text {
    name: "text",
    example: "\"https://issuer.example.com\"",
    unit: "",
    parse: |text| Ok(text.to_owned()),
};

/// SNS tries for an hour at most, not counting the time that the attempts take; the time is that
/// of the publication.
const SNS_TOLERANCE: Duration = Duration::from_secs(2 * 3_600);
/// PayPal tries for three days; the time may be that of the first try.
const PAYPAL_TOLERANCE: Duration = Duration::from_secs(3 * 86_400);

const ARN: Text<String> = Text {
    name: "ARN of a topic",
    example: "\"arn:aws:sns:eu-west-1:123456789012:orders\"",
    unit: "",
    parse: |text| {
        let parts: Vec<&str> = text.split(':').collect();
        if matches!(parts.as_slice(), ["arn", _, "sns", _, _, name] if !name.is_empty()) {
            return Ok(text.to_owned());
        }
        let help = "copy it from the SNS console: `arn:aws:sns:REGION:ACCOUNT:NAME`";
        Err(Fault::new(format!("{} is no ARN of a topic", quote(text)), help))
    },
};

const KEYS_URL: Text<String> = Text {
    name: "URL",
    example: "\"https://issuer.example.com/.well-known/jwks.json\"",
    unit: "",
    parse: |text| {
        let uri = text.parse::<http::Uri>().ok();
        let own = uri.as_ref().filter(|uri| uri.scheme_str() == Some("https"));
        let named =
            own.and_then(|uri| uri.authority()).is_some_and(|at| !at.as_str().contains('@'));
        if named {
            return Ok(text.to_owned());
        }
        Err(Fault::new(
            "is no `https` URL without a user",
            "write it as `https://issuer.example.com/…`",
        ))
    },
};

const QUERY: Text<String> = Text {
    name: "name of a query parameter",
    example: "\"key\"",
    unit: "",
    parse: |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if !text.is_empty() && text.bytes().all(plain) {
            return Ok(text.to_owned());
        }
        let help = "use letters, digits, `-`, `_`, `.` and `~`";
        Err(Fault::new(format!("{} is no name of a parameter", quote(text)), help))
    },
};

impl Scheme {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Preset(preset) => preset.name,
            Self::Hmac => "hmac",
            Self::ApiKey => "api-key",
            Self::Jwt => "jwt",
            Self::Sns => "sns",
            Self::PayPal => "paypal",
        }
    }

    /// The provider's own, where the scheme is one of a provider.
    pub(super) fn preset(self) -> Option<&'static Preset> {
        match self {
            Self::Preset(preset) => Some(preset),
            _ => None,
        }
    }

    /// What an accepted event is answered with.
    pub(super) fn success(self) -> StatusCode {
        let own = self.preset().map(|preset| preset.success);
        let status = own.and_then(|status| StatusCode::from_u16(status).ok());
        match self {
            // Its documentation speaks of 200.
            Self::PayPal => StatusCode::OK,
            _ => status.unwrap_or(StatusCode::ACCEPTED),
        }
    }

    /// Where the kind stands, for a provider that is not in the table.
    pub(super) fn own_kind(self) -> Option<Selector> {
        match self {
            Self::Sns => Some(Selector::Json("/Type".to_owned())),
            Self::PayPal => Some(Selector::Json("/event_type".to_owned())),
            Self::Preset(preset) if preset.name == CLOUDEVENTS.name => Some(Selector::CloudEvents),
            _ => None,
        }
    }

    /// The same of the id.
    pub(super) fn own_id(self) -> Option<Selector> {
        match self {
            Self::Sns => Some(Selector::Json("/MessageId".to_owned())),
            Self::PayPal => Some(Selector::Json("/id".to_owned())),
            Self::Preset(preset) if preset.name == CLOUDEVENTS.name => Some(Selector::CloudEvents),
            _ => None,
        }
    }

    /// Whether there are no secrets: keys are public, or anybody may post.
    fn is_without_secrets(self) -> bool {
        matches!(self, Self::None | Self::Jwt | Self::Sns | Self::PayPal)
    }

    /// The keys of `verify` that mean something with the scheme.
    fn keys(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Self::None => return vec!["scheme"],
            Self::Jwt => {
                return ["scheme", "jwks", "jwks_url", "issuer", "audience", "claims", "tolerance"]
                    .to_vec();
            }
            Self::Sns => return vec!["scheme", "topics", "tolerance"],
            Self::PayPal => return vec!["scheme", "webhook_id", "tolerance"],
            Self::Hmac => &["header", "algorithm", "encoding", "prefix"],
            Self::ApiKey => &["header", "query"],
            Self::Preset(preset) => match (preset.time, preset.handshake) {
                (Some(_), _) => &["tolerance"],
                (None, Handshake::Hub) => &["verify_token"],
                (None, _) => &[],
            },
        };
        [&["scheme", "secrets"], own].concat()
    }
}

/// What stands in `verify`, whatever the scheme.
struct Written {
    secrets: Option<Vec<Credential>>,
    tolerance: Option<Duration>,
    verify_token: Option<Secret>,
    header: Option<HeaderName>,
    query: Option<String>,
    algorithm: Algorithm,
    encoding: Encoding,
    prefix: String,
    jwks: Option<Vec<Jwk>>,
    jwks_url: Option<String>,
    topics: Option<Vec<String>>,
    webhook_id: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    claims: Option<Vec<Claim>>,
}

/// The scheme is known even where the rest is wrong: other defaults depend on
/// it. `url` is the source's public one.
pub(super) fn read(s: &Section<'_, '_>, url: Option<&str>) -> (Option<Scheme>, Option<Verify>) {
    let doc = "The provider's, see [the table](sources.md). `standard` is Standard Webhooks. `hmac` is an HMAC over the body in a header of your choice, `api-key` a secret in a header or query parameter of your choice, `jwt` a JSON Web Token as bearer token. `none` lets anybody post.";
    let scheme = s.key("scheme", Choice(&SCHEMES), doc).required();
    let form = scheme.and_then(Scheme::preset).map_or(KeyForm::Text, |preset| preset.key);
    let doc = "Any one of them may match, so a new one can come before the old one goes; `{ secret = \"env:NEW\", from = \"2026-12-01\", until = \"2027-12-01\" }` counts only in that time (UTC). For `basic`, each is `user:password`; where the provider signs with a private key, its public key.";
    let secrets = s
        .key("secrets", List(Dated::checking(form)), doc)
        .optional("required unless `none`, `jwt`, `sns` or `paypal`");
    let none = scheme.is_some_and(Scheme::is_without_secrets);
    let secrets = secrets.filter(|secrets| !secrets.is_empty() || none);
    let doc = "How far the signed time may be from now, where the scheme has one. Without it: as long as the provider tries with the same time, see [the table](sources.md), and five minutes ahead at most.";
    let tolerance = s.key("tolerance", DURATION, doc).range("1s", "7d").optional("by the scheme");
    let doc = "`meta`: the verify token that you gave the provider for its challenge by GET.";
    let verify_token = s.key("verify_token", secret::ANY, doc).optional("required for `meta`");
    let header = s.key("header", HEADER, "`hmac`, `api-key`: where the signature or key stands.");
    let header = header.optional("required for `hmac`");
    let doc = "`api-key`: where the key stands, if not in a header.";
    let query = s.key("query", QUERY, doc).optional("none");
    let algorithm = s.key("algorithm", ALGORITHMS, "`hmac`: the hash.").default("sha256");
    let encoding = s.key("encoding", ENCODINGS, "`hmac`: of the signature.").default("hex");
    let doc = "`hmac`: stands before the signature in the header, `sha256=` for example.";
    let prefix = s.key("prefix", PREFIX, doc).default("");
    let doc = "`jwt`: the public keys, a JSON Web Key Set, as `file:PATH` or `env:NAME`.";
    let jwks = s.key("jwks", Jwks, doc).optional("required for `jwt`, or `jwks_url`");
    let doc = "`jwt`: where the issuer has its public keys; fetched when they are needed, every five minutes at most.";
    let jwks_url = s.key("jwks_url", KEYS_URL, doc).optional("none");
    let doc = "`sns`: ARNs of the topics that may post here. Messages of others are signed by AWS as well.";
    let topics = s.key("topics", List(ARN), doc).optional("required for `sns`");
    let doc = "`paypal`: the webhook's id, as PayPal shows it; a part of what is signed.";
    let webhook_id = s.key("webhook_id", CLAIM, doc).optional("required for `paypal`");
    let doc = "`jwt`: must be the token's `iss`.";
    let issuer = s.key("issuer", CLAIM, doc).optional("any");
    let doc = "`jwt`: must be among the token's `aud`.";
    let audience = s.key("audience", CLAIM, doc).optional("required for `jwt`");
    let doc = "`jwt`: what else must be in the token, `{ email = \"…\" }`: a text, a number, `true` or `false`, or a list of alternatives. A name that begins with `/` is a JSON pointer into the claims. Where the issuer makes tokens for anybody, as Google and GitHub do, say here who may post.";
    let claims = s.key("claims", Claims, doc).optional("none");
    let Some(scheme) = scheme else { return (None, None) };
    s.only(&scheme.keys(), &format!("scheme `{}`", scheme.as_str()));
    let written = Written {
        secrets,
        tolerance,
        verify_token,
        header,
        query,
        algorithm,
        encoding,
        prefix,
        jwks,
        jwks_url,
        topics,
        webhook_id,
        issuer,
        audience,
        claims,
    };
    (Some(scheme), verify(s, scheme, written, url))
}

fn verify(
    s: &Section<'_, '_>,
    scheme: Scheme,
    written: Written,
    url: Option<&str>,
) -> Option<Verify> {
    if !scheme.is_without_secrets() {
        need_secrets(s);
    }
    match scheme {
        Scheme::None => Some(Verify::None),
        Scheme::Jwt => jwt(s, written),
        Scheme::Sns => {
            s.missing("topics", "add `topics = [\"arn:aws:sns:REGION:ACCOUNT:NAME\"]`");
            let tolerance = written.tolerance.unwrap_or(SNS_TOLERANCE);
            let issuer = Issuer::Sns { topics: written.topics? };
            Some(Verify::Certified(CertifiedScheme { issuer, tolerance }))
        }
        Scheme::PayPal => {
            s.missing(
                "webhook_id",
                "add `webhook_id = \"…\"`, which PayPal shows with the webhook",
            );
            let tolerance = written.tolerance.unwrap_or(PAYPAL_TOLERANCE);
            let issuer = Issuer::PayPal { webhook_id: written.webhook_id? };
            Some(Verify::Certified(CertifiedScheme { issuer, tolerance }))
        }
        Scheme::Preset(preset) => self::preset(s, preset, written, url),
        Scheme::Hmac => {
            let help = "add `header = \"x-signature\"`, the header that has the signature";
            s.missing("header", help);
            let Written { secrets, header, algorithm, encoding, prefix, .. } = written;
            let (header, secrets) = (header?, secrets?);
            Some(Verify::Hmac(HmacScheme { header, algorithm, encoding, prefix, secrets }))
        }
        Scheme::ApiKey => {
            let place = match (written.header, written.query) {
                (Some(header), None) => ApiKeyPlace::Header(header),
                (None, Some(query)) => ApiKeyPlace::Query(query),
                (Some(_), Some(_)) => {
                    let fault = Fault::new("the key stands in a header already", "remove one");
                    s.wrong("query", fault);
                    return None;
                }
                (None, None) => {
                    // One that is there and wrong has been reported.
                    if s.entry("query").is_none() {
                        s.missing("header", "add `header = \"x-api-key\"`, or `query = \"key\"`");
                    }
                    return None;
                }
            };
            Some(Verify::ApiKey(ApiKeyScheme { place, secrets: written.secrets? }))
        }
    }
}

fn jwt(s: &Section<'_, '_>, written: Written) -> Option<Verify> {
    let keys = match (written.jwks, written.jwks_url) {
        (Some(keys), None) => Some(JwtKeys::Set(keys)),
        (None, Some(url)) => Some(JwtKeys::Url(url)),
        (Some(_), Some(_)) => {
            s.wrong("jwks_url", Fault::new("the keys are in `jwks` already", "remove one"));
            None
        }
        (None, None) => {
            // One that is there and wrong has been reported.
            if s.entry("jwks_url").is_none() {
                let help = "add `jwks_url = \"https://…\"`, or `jwks = \"file:jwks.json\"`, the issuer's public keys";
                s.missing("jwks", help);
            }
            None
        }
    };
    s.missing("audience", "add `audience = \"…\"`, the name by which the issuer knows this source");
    let Written { issuer, audience, claims, tolerance, .. } = written;
    let keys = keys?;
    let url = match &keys {
        JwtKeys::Url(url) => Some(url.as_str()),
        JwtKeys::Set(_) => None,
    };
    // Claims with a mistake in them were told of.
    let told = claims.is_none() && s.entry("claims").is_some();
    let claims = claims.unwrap_or_default();
    if !told {
        warn_of_anybody(s, issuer.as_deref(), url, &claims);
    }
    let tolerance = tolerance.unwrap_or(Duration::from_secs(60));
    Some(Verify::Jwt(JwtScheme { keys, issuer, audience: audience?, claims, tolerance }))
}

fn preset(
    s: &Section<'_, '_>,
    preset: &'static Preset,
    written: Written,
    url: Option<&str>,
) -> Option<Verify> {
    if preset.handshake == Handshake::Hub {
        let help = "add `verify_token = \"env:NAME\"`, the token that you chose at the provider";
        s.missing("verify_token", help);
    }
    if preset.signs_url() && url.is_none() {
        let message =
            format!("`{}` signs the URL that it posts to, and it is not known", preset.name);
        let help = "add `public_url = \"https://…\"` to the source, or to `[ingress]`";
        s.wrong("scheme", Fault::new(message, help));
        return None;
    }
    let scheme = PresetScheme::new(preset, written.secrets?);
    Some(Verify::Preset(PresetScheme {
        tolerance: written.tolerance.unwrap_or(scheme.tolerance),
        ahead: written.tolerance.unwrap_or(scheme.ahead),
        url: url.map(str::to_owned),
        verify_token: written.verify_token,
        ..scheme
    }))
}

/// Reports a list of secrets that is missing or empty.
pub(super) fn need_secrets(s: &Section<'_, '_>) {
    let help = "add `secrets = [\"env:NAME\"]`";
    s.missing("secrets", help);
    let written = s.entry("secrets").map(|entry| &entry.node.value);
    if matches!(written, Some(Value::List(items)) if items.is_empty()) {
        s.wrong("secrets", Fault::new("is empty: nothing could be signed or match", help));
    }
}
