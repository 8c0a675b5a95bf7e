//! `[destinations.NAME]`: where events go, and how hard to try.
mod auth;
mod lane;
mod lines;
mod retry;
mod sign;
mod transport;
mod url;

use http::{HeaderName, HeaderValue, Uri};

use super::kind::{DURATION, Flag, RATE, whole};
use super::reader::Section;
use super::secret::Headers;
use super::unit::Fault;
use hookwright_settings::{Auth, Destination, FileOptions, LinesOptions, PostOptions, To};
use hookwright_signing::Sign;
pub(super) use url::Url;

/// What means something with a `url` only.
const HTTP_ONLY: [&str; 10] = [
    "sign",
    "auth",
    "headers",
    "batch",
    "allow_private",
    "ca",
    "tls",
    "proxy",
    "http2",
    "timeouts",
];

pub(super) fn read(s: &Section<'_, '_>) -> Option<Destination> {
    let doc = "Where to post, `https://…` or `http://…`. A URL whose path is a secret may be a reference, `env:NAME` or `file:PATH`; nothing shows more of a URL than its host.";
    let url = s.key("url", Url, doc).optional("required, or `file`, or `stdout`");
    let doc = "Append deliveries to a file instead: one line of JSON each, which is on the disk before it counts as delivered.";
    let file = s.optional_section("file", doc, lines::read);
    let doc = "Write the same lines to standard output instead.";
    let stdout = s.key("stdout", Flag, doc).default("false");
    let doc = "How deliveries are signed. Not at all by default.";
    let sign = s.optional_section("sign", doc, sign::read);
    let doc = "The credentials that it knows us by, beside the signature. None by default.";
    let auth = s.optional_section("auth", doc, auth::read);
    let doc = "DNS, connect, TLS, headers and body together.";
    let timeout = s.key("timeout", DURATION, doc).range("10ms", "10m").default("30s");
    let doc = "When a failed delivery is tried again: `base · factorⁿ` after the n-th failure, at most `cap`, spread by `± jitter`.";
    let policy = s.section("retry", doc, retry::read);
    let rate = s
        .key("rate", RATE, "The most requests in a time; more wait for their turn.")
        .optional("no limit");
    let doc = "Requests at the same time.";
    let in_flight = s.key("in_flight", whole(), doc).range("1", "10000").default("8");
    let order = lane::order(s);
    let batch = lane::batch(s, order);
    let adaptive = lane::adaptive(s);
    let breaker = lane::breaker(s);
    let disable_after = lane::disable_after(s);
    let transport = transport::read(s);
    let doc = "Keep what is routed here, send nothing.";
    let disabled = s.key("disabled", Flag, doc).default("false");
    let doc = "Sent with every delivery. A value may be a secret, `env:NAME` or `file:PATH`; `authorization` and `cookie` must be.";
    let headers = s.key("headers", Headers, doc).default("{}");
    written_once(s, sign.as_ref(), auth.as_ref(), &headers);
    let to = match place(s, url, file, stdout)? {
        Place::Url(url) => {
            url::warn_about(s, &url, &transport.network);
            let headers = headers.into_iter().collect();
            let fill = None;
            let post = PostOptions { url, sign, auth, timeout, transport, headers, fill };
            To::Post(Box::new(post))
        }
        Place::File(file) => To::Lines(LinesOptions { file: Some(file), timeout }),
        Place::Stdout => To::Lines(LinesOptions { file: None, timeout }),
    };
    Some(Destination {
        to,
        policy,
        rate,
        in_flight,
        order,
        batch,
        adaptive,
        breaker,
        disable_after,
        disabled,
    })
}

/// No header has two who write it.
fn written_once(
    s: &Section<'_, '_>,
    sign: Option<&Sign>,
    auth: Option<&Auth>,
    headers: &[(HeaderName, HeaderValue)],
) {
    let sign = sign.into_iter().flat_map(|sign| sign.format.headers());
    let signed: Vec<HeaderName> = sign.cloned().collect();
    let known = auth.map(Auth::headers).unwrap_or_default();
    let fixed = |name: &HeaderName| headers.iter().any(|(fixed, _)| fixed == name);
    for (section, names) in [("sign", &signed), ("auth", &known)] {
        if let Some(name) = names.iter().find(|name| fixed(name)) {
            let message = format!("`{name}` is written by `{section}`");
            s.wrong("headers", Fault::new(message, "remove it here"));
        }
    }
    if let Some(name) = signed.iter().find(|name| known.contains(name)) {
        let message = format!("`{name}` is written by `sign` already");
        s.wrong("auth", Fault::new(message, "choose another header"));
    }
}

/// What a destination's target is written as.
enum Place {
    Url(Uri),
    File(FileOptions),
    Stdout,
}

/// The one place that is written.
fn place(
    s: &Section<'_, '_>,
    url: Option<Uri>,
    file: Option<FileOptions>,
    stdout: bool,
) -> Option<Place> {
    let written = |key: &&str| match *key {
        "stdout" => stdout,
        key => s.entry(key).is_some(),
    };
    let places: Vec<&str> = ["url", "file", "stdout"].into_iter().filter(written).collect();
    match places.as_slice() {
        [] => s.missing("url", "add `url = \"https://…\"`, or `file = { path = \"…\" }`"),
        [_] => {}
        [first, second, ..] => {
            let message = format!("a destination has one place, and `{first}` is one already");
            s.wrong(second, Fault::new(message, "remove one of both"));
            return None;
        }
    }
    if let Some(place) = places.first().filter(|place| **place != "url") {
        for key in HTTP_ONLY.iter().filter(|key| s.entry(key).is_some()) {
            let message = format!("has no meaning with `{place}`");
            s.wrong(key, Fault::new(message, "remove it"));
        }
    }
    match (url, file) {
        (Some(url), _) => Some(Place::Url(url)),
        (None, Some(file)) => Some(Place::File(file)),
        (None, None) => stdout.then_some(Place::Stdout),
    }
}
