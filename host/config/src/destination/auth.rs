//! `auth` of a destination: who we are to it, beside the signature.
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use super::super::kind::{Choice, HEADER, Kind, Text};
use super::super::reader::{At, Section};
use super::super::secret::{self, is_owned};
use super::super::unit::{Fault, quote};
use super::transport::USER_PASSWORD;
use super::url::{self, Url};
use hookwright_settings::{Auth, OAuth2};
use hookwright_signing::{Aws, Grant, Secret, basic, bearer, plain};

#[derive(Clone, Copy, PartialEq)]
enum Scheme {
    Basic,
    Bearer,
    Header,
    OAuth2,
    Aws,
}

const SCHEMES: Choice<Scheme> = Choice(&[
    ("basic", Scheme::Basic),
    ("bearer", Scheme::Bearer),
    ("header", Scheme::Header),
    ("oauth2", Scheme::OAuth2),
    ("aws", Scheme::Aws),
]);

const IN_BODY: Choice<bool> = Choice(&[("header", false), ("body", true)]);

/// One line of printable ASCII: it ends up in a form or a header.
const PLAIN: Text<String> = Text {
    name: "text",
    example: "\"hookwright\"",
    unit: "",
    parse: |text| {
        if !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Ok(text.to_owned());
        }
        let help = "use printable ASCII, on one line";
        Err(Fault::new(format!("{} can't stand here", quote(text)), help))
    },
};

/// `user:password` where the scheme is `basic`, else any secret.
struct Credentials(Option<Scheme>);

impl Kind for Credentials {
    type Value = Secret;

    fn name(&self) -> String {
        "secret".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Secret> {
        match self.0 {
            Some(Scheme::Basic) => USER_PASSWORD.read(at),
            _ => secret::ANY.read(at),
        }
    }
}

impl Scheme {
    /// The keys that mean something with it.
    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Basic | Self::Bearer => &["scheme", "secret"],
            Self::Header => &["scheme", "secret", "header"],
            Self::OAuth2 => {
                &["scheme", "secret", "token_url", "client_id", "scope", "audience", "client"]
            }
            Self::Aws => &["scheme", "secret", "access_key", "session_token", "region", "service"],
        }
    }
}

pub(super) fn read(s: &Section<'_, '_>) -> Option<Auth> {
    let doc = "`basic` and `bearer` send the secret in `authorization`, `header` in a header of your choice. `oauth2` gets tokens by client credentials, `aws` signs requests by Signature Version 4.";
    let scheme = s.key("scheme", SCHEMES, doc).required();
    let doc = "For `basic`, `user:password`; for `bearer`, the token; for `header`, its value; for `oauth2`, the client's secret; for `aws`, the secret access key.";
    let secret = s.key("secret", Credentials(scheme), doc).required();
    let header = s.key("header", HEADER, "`header`: which one.").optional("required for `header`");
    let doc = "`oauth2`: where tokens are asked for. It is reached as the destination is: by the same proxy, certificates and check of addresses.";
    let token_url = s.key("token_url", Url, doc).optional("required for `oauth2`");
    let client_id = s.key("client_id", PLAIN, "`oauth2`: who we are.");
    let client_id = client_id.optional("required for `oauth2`");
    let doc = "`oauth2`: scopes, separated by spaces.";
    let scope = s.key("scope", PLAIN, doc).optional("none");
    let doc = "`oauth2`: the audience of the token, where the server asks for one.";
    let audience = s.key("audience", PLAIN, doc).optional("none");
    let doc = "`oauth2`: where the client's id and secret stand.";
    let in_body = s.key("client", IN_BODY, doc).default("header");
    let access_key = s.key("access_key", PLAIN, "`aws`: the id of the access key.");
    let access_key = access_key.optional("required for `aws`");
    let doc = "`aws`: that of temporary credentials.";
    let session_token = s.key("session_token", secret::ANY, doc).optional("none");
    let region = s.key("region", PLAIN, "`aws`: as `eu-central-1`.").optional("required for `aws`");
    let doc = "`aws`: as `execute-api`, `lambda`, `sns`.";
    let service = s.key("service", PLAIN, doc).optional("required for `aws`");
    let scheme = scheme?;
    s.only(scheme.keys(), &format!("scheme `{}`", name(scheme)));
    match scheme {
        Scheme::Basic => Some(Auth::Header(AUTHORIZATION, basic(&secret?))),
        Scheme::Bearer => fixed(s, AUTHORIZATION, bearer(secret?.expose())),
        Scheme::Header => {
            s.missing("header", "add `header = \"x-api-key\"`");
            if header.as_ref().is_some_and(|name| is_owned(name.as_str())) {
                let fault = Fault::new("Hookwright writes this header itself", "choose another");
                s.wrong("header", fault);
            }
            fixed(s, header?, plain(&secret?))
        }
        Scheme::OAuth2 => {
            s.missing("token_url", "add `token_url = \"https://…/token\"`");
            s.missing("client_id", "add `client_id = \"…\"`");
            let token_url = token_url?;
            url::warn_about_clear_text(s, "token_url", &token_url);
            let (client_id, secret) = (client_id?, secret?);
            let grant = Grant { client_id, secret, scope, audience, in_body };
            Some(Auth::OAuth2(OAuth2 { token_url, grant }))
        }
        Scheme::Aws => {
            for key in ["access_key", "region", "service"] {
                s.missing(key, format!("add `{key} = \"…\"`"));
            }
            let (access_key, region, service) = (access_key?, region?, service?);
            let secret = secret?;
            Some(Auth::Aws(Aws { access_key, secret, session_token, region, service }))
        }
    }
}

fn name(scheme: Scheme) -> &'static str {
    SCHEMES.0.iter().find(|(_, one)| *one == scheme).map_or("", |(name, _)| name)
}

fn fixed(
    s: &Section<'_, '_>,
    name: HeaderName,
    value: Result<HeaderValue, http::header::InvalidHeaderValue>,
) -> Option<Auth> {
    let help = "a header value is one line without control characters";
    let wrong = |_| s.wrong("secret", Fault::new("can't stand in a header", help));
    Some(Auth::Header(name, value.map_err(wrong).ok()?))
}
