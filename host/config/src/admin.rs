//! `[admin]`: who may use the API and the console, and for what.
use std::collections::BTreeMap;
use std::net::SocketAddr;

use sha2::{Digest as _, Sha256};

use super::kind::{ADDRESS, Choice, Kind};
use super::reader::{At, Section};
use super::secret;
use super::unit::Fault;
use hookwright_model::Name;
use hookwright_signing::Secret;

/// A token from outside must not be found by trying: characters of it at least.
const SHORTEST: usize = 16;

/// `[admin]`: the API, the console and the metrics.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    pub listen: SocketAddr,
    /// Never none unless there are `tokens` or `listen` is a loopback address.
    pub token: Option<Secret>,
    pub tokens: BTreeMap<Name, TokenConfig>,
}

/// `[admin.tokens.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// SHA-256.
    pub hash: [u8; 32],
    pub scope: TokenScope,
}

/// Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenScope {
    Read,
    Replay,
    Admin,
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
        let tokens = s.named("tokens", doc, TokenConfig::read);
        let none = s.entry("token").is_none() && s.entry("tokens").is_none();
        if !listen.ip().is_loopback() && none {
            let help =
                "add `token = \"env:HOOKWRIGHT_ADMIN_TOKEN\"`, or listen on a loopback address";
            let fault = Fault::new(format!("listens on {listen} without a token"), help);
            s.wrong("listen", fault);
        }
        Self { listen, token, tokens }
    }
}

impl TokenConfig {
    fn read(s: &Section<'_, '_>) -> Option<Self> {
        const SCOPES: Choice<TokenScope> = Choice(&[
            ("read", TokenScope::Read),
            ("replay", TokenScope::Replay),
            ("admin", TokenScope::Admin),
        ]);
        s.missing("token", "add `token = \"sha256:…\"`, which `hookwright token new` prints");
        s.missing("scope", "add `scope = \"read\"`, `\"replay\"` or `\"admin\"`");
        let doc = "Its hash, as `hookwright token new` prints it, or where the token is.";
        let hash = s.key("token", Hashed, doc).optional("required");
        let doc = "`read` sees everything but the audit log, `replay` replays events too, `admin` does everything.";
        let scope = s.key("scope", SCOPES, doc).optional("required");
        Some(Self { hash: hash?, scope: scope? })
    }
}
