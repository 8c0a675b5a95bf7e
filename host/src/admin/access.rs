//! Who may ask: a bearer token, or, without one, only pages and programs of this machine.
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use super::Options;
use super::problem::Problem;

pub(super) async fn check(
    State(options): State<Options>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    match &options.token {
        Some(token) => {
            let sent = bearer(request.headers()).unwrap_or_default();
            if !token.matches(sent.as_bytes()) {
                return Err(Problem::unauthorized());
            }
        }
        // A page of another site can send requests to this machine through its
        // reader's browser, under a name that it points here: both are told by
        // the host and the origin that the browser adds.
        None => {
            let host = request.uri().host().or_else(|| text(request.headers(), HOST.as_str()));
            let origin = text(request.headers(), ORIGIN.as_str());
            let local_origin = origin.is_none_or(|origin| {
                origin.split_once("://").is_some_and(|(_, host)| is_local(host))
            });
            if !host.is_some_and(is_local) || !local_origin {
                return Err(Problem::not_local());
            }
        }
    }
    let mut response = next.run(request).await;
    // Events may hold what nobody but the asker should find later.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
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
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_local;

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
}
