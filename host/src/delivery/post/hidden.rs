//! Secrets that are sent and shown nowhere: filled into bodies when they leave, and taken out of answers that repeat them.
use bytes::Bytes;
use http::Uri;

use crate::model::{Delivery, Name, Outcome};
use crate::signing::Secret;

/// Shorter paths are no secrets.
const SHORTEST: usize = 8;
/// What stands for a secret that an answer repeats.
const MASK: &[u8] = "…".as_bytes();

/// A place in bodies that a secret is filled into when they leave. What is
/// stored, listed and backed up has the place alone.
#[derive(Debug, Clone)]
pub struct Fill {
    /// Only events of this source have the place.
    pub source: Name,
    /// As it stands in the body, within a string of JSON.
    pub place: &'static str,
    pub secret: Secret,
}

impl Fill {
    /// The body with the secret in its place; none where it has no place.
    pub(super) fn body(&self, delivery: &Delivery) -> Option<Bytes> {
        if delivery.event.source != self.source {
            return None;
        }
        let text = String::from_utf8_lossy(self.secret.expose());
        let quoted = serde_json::Value::from(text).to_string();
        let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))?;
        replaced(delivery.body(), self.place.as_bytes(), inner.as_bytes())
    }
}

/// What an answer repeats of the URL or of what was filled in is not kept: attempts
/// are read by more people than settings are.
pub(super) fn scrub(mut outcome: Outcome, url: &Uri, fill: Option<&Fill>) -> Outcome {
    let Outcome::Answered { excerpt, .. } = &mut outcome else { return outcome };
    if excerpt.is_empty() {
        return outcome;
    }
    let path = url.path_and_query().map_or("", |path| path.as_str());
    let known = [path.as_bytes(), url.path().as_bytes()].into_iter();
    let filled = fill.map(|fill| fill.secret.expose());
    for secret in known.filter(|path| path.len() >= SHORTEST).chain(filled) {
        if let Some(clean) = replaced(excerpt, secret, MASK) {
            *excerpt = clean;
        }
    }
    outcome
}

/// None where it does not stand there.
fn replaced(body: &[u8], old: &[u8], new: &[u8]) -> Option<Bytes> {
    let finder = memchr::memmem::Finder::new(old);
    let mut places = finder.find_iter(body).peekable();
    if old.is_empty() || places.peek().is_none() {
        return None;
    }
    let mut out = Vec::with_capacity(body.len() + new.len());
    let mut from = 0;
    for place in places {
        out.extend_from_slice(&body[from..place]);
        out.extend_from_slice(new);
        from = place + old.len();
    }
    out.extend_from_slice(&body[from..]);
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::tests::delivery;

    fn fill(source: &str, secret: &str) -> Fill {
        let source = source.parse().expect("a name");
        Fill { source, place: "{key}", secret: Secret::new(secret) }
    }

    #[test]
    fn a_secret_is_filled_into_the_bodies_of_its_source_alone() {
        let body = "{\"a\":\"{key}\",\"b\":[\"{key}\"]}";
        let delivery = delivery(1, "a", body);
        let filled = fill("shop", "k\"1").body(&delivery).expect("a place");
        assert_eq!(&filled[..], br#"{"a":"k\"1","b":["k\"1"]}"#);
        assert_eq!(fill("other", "k").body(&delivery), None);
        assert_eq!(fill("shop", "k").body(&crate::delivery::tests::delivery(1, "a", "{}")), None);
    }

    #[test]
    fn an_answer_keeps_neither_the_url_nor_what_was_filled_in() {
        let scrubbed = |text: &str, url: &str| {
            let excerpt = Bytes::from(text.to_owned());
            let outcome = Outcome::Answered { status: 404, retry_after_s: None, excerpt };
            let url = url.parse().expect("a URL");
            match scrub(outcome, &url, Some(&fill("shop", "R0UT1NG"))) {
                Outcome::Answered { excerpt, .. } => String::from_utf8_lossy(&excerpt).into_owned(),
                other => panic!("{other:?}"),
            }
        };
        let url = "https://hooks.example.com/services/T000/S3CR3T?token=1";
        assert_eq!(scrubbed("Cannot POST /services/T000/S3CR3T.", url), "Cannot POST ….");
        assert_eq!(scrubbed("/services/T000/S3CR3T?token=1!", url), "…!");
        assert_eq!(scrubbed("a R0UT1NG b R0UT1NG", url), "a … b …");
        assert_eq!(scrubbed("ok /in", "https://a.example/in"), "ok /in");
    }
}
