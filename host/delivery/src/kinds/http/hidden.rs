//! Secrets that are sent and shown nowhere: filled into bodies when they leave, and taken out of answers that repeat them.
use bytes::Bytes;
use http::{HeaderValue, Uri};

use hookwright_model::{Delivery, Outcome};
use hookwright_settings::Fill;
use hookwright_signing::Secret;

/// What is shorter is no secret, and stands in answers by chance.
const SHORTEST: usize = 8;
/// What stands for a secret that an answer repeats.
const MASK: &[u8] = "…".as_bytes();

/// The body with the secret in its place; none where it has no place.
pub(super) fn filled(fill: &Fill, delivery: &Delivery) -> Option<Bytes> {
    if delivery.event.source != fill.source {
        return None;
    }
    let text = String::from_utf8_lossy(fill.secret.expose());
    let quoted = serde_json::Value::from(text).to_string();
    let inner = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))?;
    replaced(delivery.body(), fill.place.as_bytes(), inner.as_bytes())
}

/// What one destination is sent and nobody else may read: attempts are read by
/// more people than settings are, and there are receivers that repeat what they got.
pub(super) struct Hidden(Vec<Secret>);

impl Hidden {
    /// The URL's path and query, what is filled in, and secret values of headers.
    pub(super) fn new<'h>(
        url: &'h Uri,
        fill: Option<&'h Fill>,
        headers: impl Iterator<Item = &'h HeaderValue>,
    ) -> Self {
        let path = url.path_and_query().map_or("", |path| path.as_str());
        let mut known: Vec<&[u8]> = vec![path.as_bytes(), url.path().as_bytes()];
        known.extend(fill.map(|fill| fill.secret.expose()));
        known.extend(headers.flat_map(parts));
        // One may hold another.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        known.dedup();
        let long = known.into_iter().filter(|secret| secret.len() >= SHORTEST);
        Self(long.map(Secret::new).collect())
    }

    /// Takes them out of the answer, and `token`, which changes from time to time.
    pub(super) fn scrub(&self, outcome: &mut Outcome, token: Option<&HeaderValue>) {
        let Outcome::Answered { excerpt, .. } = outcome else { return };
        if excerpt.is_empty() {
            return;
        }
        let token = token.into_iter().flat_map(parts).filter(|part| part.len() >= SHORTEST);
        for secret in self.0.iter().map(Secret::expose).chain(token) {
            if let Some(clean) = replaced(excerpt, secret, MASK) {
                *excerpt = clean;
            }
        }
    }
}

/// A header's value, and what comes after `Bearer` or `Basic` in it.
fn parts(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let whole = value.as_bytes();
    let space = whole.iter().position(|byte| *byte == b' ');
    [Some(whole), space.map(|at| &whole[at + 1..])].into_iter().flatten()
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
    use crate::tests::delivery;

    fn fill(source: &str, secret: &str) -> Fill {
        let source = source.parse().expect("a name");
        Fill { source, place: "{key}", secret: Secret::new(secret) }
    }

    #[test]
    fn a_secret_is_filled_into_the_bodies_of_its_source_alone() {
        let body = "{\"a\":\"{key}\",\"b\":[\"{key}\"]}";
        let delivery = delivery(1, "a", body);
        let filled = super::filled(&fill("shop", "k\"1"), &delivery).expect("a place");
        assert_eq!(&filled[..], br#"{"a":"k\"1","b":["k\"1"]}"#);
        assert_eq!(super::filled(&fill("other", "k"), &delivery), None);
        assert_eq!(super::filled(&fill("shop", "k"), &crate::tests::delivery(1, "a", "{}")), None);
    }

    #[test]
    fn an_answer_keeps_nothing_that_only_the_receiver_may_know() {
        let scrubbed = |text: &str, url: &str| {
            let excerpt = Bytes::from(text.to_owned());
            let mut outcome = Outcome::Answered { status: 404, retry_after_s: None, excerpt };
            let url = url.parse().expect("a URL");
            let own =
                [HeaderValue::from_static("Basic dXNlcjpwYXNz"), HeaderValue::from_static("a")];
            let hidden = Hidden::new(&url, Some(&fill("shop", "R0UT1NG1")), own.iter());
            let token = HeaderValue::from_static("Bearer t0ken-of-today");
            hidden.scrub(&mut outcome, Some(&token));
            match outcome {
                Outcome::Answered { excerpt, .. } => String::from_utf8_lossy(&excerpt).into_owned(),
                other => panic!("{other:?}"),
            }
        };
        let url = "https://hooks.example.com/services/T000/S3CR3T?token=1";
        assert_eq!(scrubbed("Cannot POST /services/T000/S3CR3T.", url), "Cannot POST ….");
        assert_eq!(scrubbed("/services/T000/S3CR3T?token=1!", url), "…!");
        assert_eq!(scrubbed("a R0UT1NG1 b R0UT1NG1", url), "a … b …");
        assert_eq!(scrubbed("you are dXNlcjpwYXNz", url), "you are …");
        assert_eq!(scrubbed("Authorization: Bearer t0ken-of-today", url), "Authorization: …");
        assert_eq!(scrubbed("token=t0ken-of-today", url), "token=…");
        assert_eq!(scrubbed("ok /in", "https://a.example/in"), "ok /in");
    }
}
