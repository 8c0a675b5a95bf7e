//! The console and the reference page: files in the binary, and the policy that lets them load nothing else.
use axum::Router;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};

/// No page of ours loads, sends or frames anything beyond this host, and none makes markup or scripts of a text.
const POLICY: &str = "default-src 'none'; connect-src 'self'; script-src 'self'; style-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

macro_rules! files {
    ($($path:literal: $kind:ident = $file:literal),* $(,)?) => {
        &[$(($path, $kind, include_str!(concat!("console/", $file)))),*]
    };
}

/// Path, content type and text.
const FILES: &[(&str, &str, &str)] = files![
    "/": HTML = "index.html",
    "/reference": HTML = "reference.html",
    "/console/mark.svg": PICTURE = "mark.svg",
    "/console/style/base.css": STYLE = "style/base.css",
    "/console/style/layout.css": STYLE = "style/layout.css",
    "/console/style/parts.css": STYLE = "style/parts.css",
    "/console/style/event.css": STYLE = "style/event.css",
    "/console/app.js": SCRIPT = "app.js",
    "/console/api.js": SCRIPT = "api.js",
    "/console/chart.js": SCRIPT = "chart.js",
    "/console/curl.js": SCRIPT = "curl.js",
    "/console/dom.js": SCRIPT = "dom.js",
    "/console/lists.js": SCRIPT = "lists.js",
    "/console/reference.js": SCRIPT = "reference.js",
    "/console/replay.js": SCRIPT = "replay.js",
    "/console/text.js": SCRIPT = "text.js",
    "/console/pages/audit.js": SCRIPT = "pages/audit.js",
    "/console/pages/destinations.js": SCRIPT = "pages/destinations.js",
    "/console/pages/event.js": SCRIPT = "pages/event.js",
    "/console/pages/events.js": SCRIPT = "pages/events.js",
    "/console/pages/live.js": SCRIPT = "pages/live.js",
    "/console/pages/overview.js": SCRIPT = "pages/overview.js",
    "/console/pages/plugins.js": SCRIPT = "pages/plugins.js",
    "/console/pages/source.js": SCRIPT = "pages/source.js",
    "/console/pages/sources.js": SCRIPT = "pages/sources.js",
];

pub(super) fn router<S: Clone + Send + Sync + 'static>(document: Bytes) -> Router<S> {
    let mut router = Router::new();
    for (path, kind, text) in FILES {
        router = router.route(path, page(kind, Bytes::from_static(text.as_bytes())));
    }
    router.route("/openapi.json", page("application/json", document))
}

/// Asked for anew each time, and sent again only where it has changed.
fn page<S: Clone + Send + Sync + 'static>(
    kind: &'static str,
    body: Bytes,
) -> axum::routing::MethodRouter<S> {
    let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..8]));
    let tag = HeaderValue::from_str(&tag).expect("hexadecimal digits are ASCII");
    get(move |headers: HeaderMap| async move { answer(&headers, kind, tag, body) })
}

fn answer(headers: &HeaderMap, kind: &'static str, tag: HeaderValue, body: Bytes) -> Response {
    let known = headers.get(IF_NONE_MATCH) == Some(&tag);
    let head = [
        ("content-type", kind),
        ("cache-control", "no-cache"),
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
    ];
    let mut response = match known {
        true => (StatusCode::NOT_MODIFIED, head).into_response(),
        false => (head, body).into_response(),
    };
    response.headers_mut().insert(ETAG, tag);
    response
}
