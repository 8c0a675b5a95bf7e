//! Who may ask, and for what: bearer tokens with scopes, or, without any, only pages and programs of this machine.
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use axum::{Extension, Json};
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::bounds::Bounds;
use super::caller::Caller;
use super::problem::Problem;
use hookwright_model::Scope;
use hookwright_server::Peer;
use hookwright_settings::AdminToken;

/// Where a page's request comes from, as its browser tells.
const FETCH_SITE: &str = "sec-fetch-site";

/// The tokens that are believed now; others can be put in their place at any
/// time. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Arc<ArcSwap<Vec<AdminToken>>>);

impl Tokens {
    /// Believes these tokens. None of them: only requests of this machine are answered.
    pub fn new(tokens: Vec<AdminToken>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(tokens)))
    }

    /// For the requests from now on.
    pub fn replace(&self, tokens: Vec<AdminToken>) {
        self.0.store(Arc::new(tokens));
    }

    /// Compares with every token, so that the time tells nothing of which one.
    fn find(&self, sent: &[u8]) -> Option<AdminToken> {
        let hash = Sha256::digest(sent);
        let mut found = None;
        for token in self.0.load().iter() {
            if bool::from(token.hash.ct_eq(&hash)) {
                found = Some(token.clone());
            }
        }
        found
    }

    fn is_empty(&self) -> bool {
        self.0.load().is_empty()
    }
}

/// Finds out who asks; the scopes are looked at where the routes are.
pub(super) async fn check(
    State(tokens): State<Tokens>,
    State(bounds): State<Bounds>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (name, scope) = if tokens.is_empty() {
        only_local(&request)?;
        ("local".to_owned(), Scope::Admin)
    } else {
        let sent = bearer(request.headers()).unwrap_or_default();
        let found = tokens.find(sent.as_bytes());
        let token = found.ok_or_else(Problem::unauthorized)?;
        (token.name, token.scope)
    };
    let address = request.extensions().get::<Peer>().map(|peer| peer.address.ip());
    let caller = Caller { name, scope, address };
    let permit = bounds.request(&caller)?;
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    drop(permit);
    // Events may hold what nobody but the asker should find later.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // And nothing in them is a page.
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
    Ok(response)
}

/// Lets only those in who may do that.
pub(super) async fn need(
    State(scope): State<Scope>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if caller.scope < scope {
        return Err(Problem::scope(&caller.name, caller.scope, scope));
    }
    Ok(next.run(request).await)
}

/// Who is asking
///
/// The name and the scope of the token that came with the request.
#[utoipa::path(get, path = "/access", tag = "host", operation_id = "show_access",
    responses((status = 200, body = Caller)))]
pub(super) async fn show(Extension(caller): Extension<Caller>) -> Json<Caller> {
    Json(caller)
}

/// A page of another site, also one that another program of this machine shows at
/// another port, can send requests here through its reader's browser, under a
/// name that it points here. All are told by the host, the origin and the
/// metadata that the browser adds; a program adds none.
fn only_local(request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let host = request.uri().authority().map(|host| host.as_str());
    let host = host.or_else(|| text(headers, HOST.as_str())).unwrap_or_default();
    // More than one of a kind is nothing that a browser sends.
    let single = [HOST.as_str(), ORIGIN.as_str(), FETCH_SITE]
        .iter()
        .all(|name| headers.get_all(*name).iter().count() <= 1);
    let own_page = match headers.get(ORIGIN) {
        None => true,
        // The whole of it, the port too.
        Some(origin) => origin.to_str().is_ok_and(|origin| {
            origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
        }),
    };
    let own_site = match headers.get(FETCH_SITE) {
        None => true,
        // Typed by its reader, or by a page of its own. `same-site` is another port.
        Some(site) => site == "none" || site == "same-origin",
    };
    if is_local(host) && single && own_page && own_site {
        Ok(())
    } else {
        Err(Problem::not_local())
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// `localhost` or a loopback address, with or without a port.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_local() {
        for local in ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.1.2.3:80", "[::1]:8081"] {
            assert!(is_local(local), "{local}");
        }
        for foreign in [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    /// Any page at another port of this machine could post where no token is set.
    #[test]
    fn regression_only_its_own_pages_and_programs_are_local() {
        let asked = |headers: &[(&str, &str)]| {
            let mut request = Request::post("/api/v1/replays").body(axum::body::Body::empty());
            let request = request.as_mut().unwrap();
            for (name, value) in headers {
                let name: http::HeaderName = name.parse().unwrap();
                request.headers_mut().append(name, value.parse().unwrap());
            }
            only_local(request).is_ok()
        };
        let host = ("host", "localhost:8081");
        for good in [
            &[host][..],
            &[("host", "127.0.0.1:8081")],
            &[host, ("origin", "http://localhost:8081")],
            &[host, ("origin", "http://LOCALHOST:8081"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
            &[("host", "[::1]:8081"), ("origin", "http://[::1]:8081")],
        ] {
            assert!(asked(good), "{good:?}");
        }
        for foreign in [
            &[][..],
            &[("host", "rebound.example:8081")],
            &[("host", "rebound.example:8081"), ("origin", "http://rebound.example:8081")],
            &[host, ("origin", "http://localhost:3000")],
            &[host, ("origin", "http://localhost")],
            &[host, ("origin", "http://127.0.0.1:8081")],
            &[host, ("origin", "https://evil.example")],
            &[host, ("origin", "null")],
            &[host, ("origin", "")],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("origin", "http://localhost:8081"), ("origin", "http://localhost:3000")],
            &[host, ("host", "evil.example")],
        ] {
            assert!(!asked(foreign), "{foreign:?}");
        }
    }

    #[test]
    fn a_token_is_found_by_its_hash_and_can_be_taken_away() {
        let token = |name: &str, text: &str, scope| AdminToken {
            name: name.into(),
            hash: Sha256::digest(text).into(),
            scope,
        };
        let tokens =
            Tokens::new(vec![token("a", "one", Scope::Read), token("b", "two", Scope::Admin)]);
        assert_eq!(tokens.find(b"two").map(|token| token.name), Some("b".to_owned()));
        assert_eq!(tokens.find(b"three"), None);
        assert_eq!(tokens.find(b""), None);
        tokens.replace(vec![token("a", "one", Scope::Read)]);
        assert_eq!(tokens.find(b"two"), None);
    }
}
