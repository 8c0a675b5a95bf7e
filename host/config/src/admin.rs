//! `[admin]`: who may use the API and the console, and for what.
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::kind::{ADDRESS, Choice, Kind};
use super::reader::{At, Section};
use super::secret;
use super::tree::Value;
use super::unit::Fault;
use hookwright_model::Scope;
use hookwright_settings::AdminToken;
use hookwright_signing::Secret;

/// A token from outside must not be found by trying: characters of it at least.
const SHORTEST: usize = 16;

/// `[admin]`: the API, the console and the metrics.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// Where they listen. Default `127.0.0.1:8081`.
    pub listen: SocketAddr,
    /// `token` as it is written, with which the commands ask the API. None where there is none.
    pub token: Option<Secret>,
    /// Everyone whom the API believes, `token` first. Never empty unless `listen` is a loopback address.
    pub tokens: Vec<AdminToken>,
}

/// A token by its hash, `sha256:HEX`, or by where it is.
struct Hashed;

impl Kind for Hashed {
    type Value = [u8; 32];

    fn name(&self) -> String {
        "`sha256:HEX` or secret".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<[u8; 32]> {
        let written = at.node.text().filter(|text| text.starts_with("sha256:"));
        let text = match written {
            Some(text) => text.as_bytes().to_vec(),
            None => secret::bytes(at)?,
        };
        if let Some(digits) = text.strip_prefix(b"sha256:") {
            let mut hash = [0; 32];
            let help = "write what `hookwright token new` prints";
            return match hex::decode_to_slice(digits, &mut hash) {
                Ok(()) => Some(hash),
                Err(_) => at.wrong(Fault::new("is no SHA-256 in hex", help)),
            };
        }
        if text.len() < SHORTEST {
            let help = "take one that `hookwright token new` prints";
            return at.wrong(Fault::new(format!("is shorter than {SHORTEST} characters"), help));
        }
        Some(Sha256::digest(&text).into())
    }
}

impl AdminConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Self {
        let listen = s
            .key("listen", ADDRESS, "The API, the console, `/metrics`, `/healthz` and `/readyz`.")
            .default("127.0.0.1:8081");
        let doc = "May do everything, asked for by the API as `authorization: Bearer …`; the commands use it too. This or one of the `tokens` is required unless `listen` is a loopback address.";
        let token = s.key("token", secret::ANY, doc).optional("none");
        let doc = "Further tokens, each with a name that the audit log shows.";
        let named = s.named("tokens", doc, named_token);
        let unnamed = match s.entry("tokens").map(|entry| &entry.node.value) {
            Some(Value::Table(tokens)) => tokens.is_empty(),
            written => written.is_none(),
        };
        if !listen.ip().is_loopback() && s.entry("token").is_none() && unnamed {
            let help =
                "add `token = \"env:HOOKWRIGHT_ADMIN_TOKEN\"`, or listen on a loopback address";
            let fault = Fault::new(format!("listens on {listen} without a token"), help);
            s.wrong("listen", fault);
        }
        let own = token.as_ref().map(|token| AdminToken {
            name: "admin.token".to_owned(),
            hash: Sha256::digest(token.expose()).into(),
            scope: Scope::Admin,
        });
        let tokens = own.into_iter().chain(named.into_values()).collect();
        Self { listen, token, tokens }
    }
}

/// `[admin.tokens.NAME]`.
fn named_token(s: &Section<'_, '_>) -> Option<AdminToken> {
    const SCOPES: Choice<Scope> =
        Choice(&[("read", Scope::Read), ("replay", Scope::Replay), ("admin", Scope::Admin)]);
    s.missing("token", "add `token = \"sha256:…\"`, which `hookwright token new` prints");
    s.missing("scope", "add `scope = \"read\"`, `\"replay\"` or `\"admin\"`");
    let doc = "Its hash, as `hookwright token new` prints it, or where the token is.";
    let hash = s.key("token", Hashed, doc).optional("required");
    let doc = "`read` sees everything but the audit log, `replay` replays events too, `admin` does everything.";
    let scope = s.key("scope", SCOPES, doc).optional("required");
    Some(AdminToken { name: s.name().to_owned(), hash: hash?, scope: scope? })
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Sources};

    /// `[admin.tokens]` with nothing in it passed for tokens, and the API was then open to any client that named
    /// `localhost` as its host.
    #[test]
    fn regression_an_empty_table_of_tokens_is_no_token() {
        let parse = |text: &str| {
            Config::parse("hookwright.toml".as_ref(), text.as_bytes(), &Sources::none())
        };
        let open = "[admin]\nlisten = \"0.0.0.0:8081\"\n[admin.tokens]\n";
        let mistakes = parse(open).unwrap_err();
        let told: Vec<_> = mistakes.iter().map(|one| (one.key.as_str(), &one.message)).collect();
        assert_eq!(told, [("admin.listen", &"listens on 0.0.0.0:8081 without a token".to_owned())]);
        let named =
            format!("{open}me = {{ token = \"sha256:{}\", scope = \"read\" }}", "0".repeat(64));
        let config = parse(&named).unwrap();
        assert_eq!(config.admin.tokens.len(), 1);
        assert_eq!(config.admin.tokens[0].name, "me");
    }
}
