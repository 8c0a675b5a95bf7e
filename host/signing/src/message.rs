//! What was signed, put together from a request without copying what need not be copied.
use std::borrow::Cow;

use form_urlencoded::parse;
use sha2::{Digest, Sha256};

use super::{Refusal, Request};
use hookwright_model::pointer;

/// More than any scheme has.
const MAX_PARTS: usize = 6;

/// The parts of a signed message, in order.
#[derive(Default)]
pub(super) struct Message<'m> {
    parts: [&'m [u8]; MAX_PARTS],
    count: usize,
}

impl<'m> Message<'m> {
    pub(super) fn push(&mut self, part: &'m [u8]) {
        self.parts[self.count] = part;
        self.count += 1;
    }

    pub(super) fn parts(&self) -> &[&'m [u8]] {
        &self.parts[..self.count]
    }
}

/// A form's names and values, decoded, sorted, each pair once and joined
/// without anything between. Where the signed URL has the body's hash
/// (`bodySHA256`), that is compared, and nothing more is signed.
///
/// # Errors
/// The body is not the one whose hash was signed.
pub(super) fn twilio_form(request: &Request<'_>) -> Result<Vec<u8>, Refusal> {
    let query = request.query.unwrap_or_default().as_bytes();
    // If the parameter is there twice, as in a URL that already had one, Twilio's packages read the first.
    let hash = parse(query).find(|(name, _)| name == "bodySHA256");
    if let Some((_, hash)) = hash {
        let mut signed = [0; 32];
        hex::decode_to_slice(hash.as_bytes(), &mut signed).map_err(|_| Refusal::Malformed)?;
        let same = Sha256::digest(request.body).as_slice() == signed;
        return if same { Ok(Vec::new()) } else { Err(Refusal::Mismatch) };
    }
    let mut pairs: Vec<_> = parse(request.body).collect();
    pairs.sort();
    pairs.dedup();
    let mut text = Vec::with_capacity(request.body.len());
    for (name, value) in pairs {
        text.extend_from_slice(name.as_bytes());
        text.extend_from_slice(value.as_bytes());
    }
    Ok(text)
}

/// The one value of a query's parameter, decoded.
///
/// # Errors
/// The value is there twice.
pub(super) fn parameter<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, Refusal> {
    let mut values = parse(query.as_bytes()).filter(|(key, _)| key == name);
    let first = values.next().map(|(_, value)| value);
    if values.next().is_some() { Err(Refusal::Malformed) } else { Ok(first) }
}

const ADYEN_FIELDS: [&str; 8] = [
    "/notificationItems/0/NotificationRequestItem/pspReference",
    "/notificationItems/0/NotificationRequestItem/originalReference",
    "/notificationItems/0/NotificationRequestItem/merchantAccountCode",
    "/notificationItems/0/NotificationRequestItem/merchantReference",
    "/notificationItems/0/NotificationRequestItem/amount/value",
    "/notificationItems/0/NotificationRequestItem/amount/currency",
    "/notificationItems/0/NotificationRequestItem/eventCode",
    "/notificationItems/0/NotificationRequestItem/success",
];

/// The fields of the one notification, joined by colons; one that is not there is empty.
///
/// # Errors
/// There is a second notification, which the signature would not cover.
pub(super) fn adyen_item(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    if pointer::at(body, "/notificationItems/1").is_some() {
        return Err(Refusal::Malformed);
    }
    let fields = pointer::select(body, &ADYEN_FIELDS);
    let mut text = Vec::new();
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            text.push(b':');
        }
        text.extend_from_slice(&field.and_then(pointer::plain).unwrap_or_default());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};

    fn request<'r>(headers: &'r HeaderMap, query: Option<&'r str>, body: &'r [u8]) -> Request<'r> {
        Request { method: &Method::POST, query, headers, body }
    }

    #[test]
    fn a_form_is_decoded_sorted_and_joined() {
        let headers = HeaderMap::new();
        let body = b"To=%2B15550100001&Digits=1234&&From=a+b&From=a+b&Empty=&Bare&From=A";
        let text = twilio_form(&request(&headers, None, body)).unwrap();
        assert_eq!(text, b"BareDigits1234EmptyFromAFroma bTo+15550100001");
    }

    #[test]
    fn a_parameter_that_stands_twice_is_refused() {
        assert_eq!(parameter("a=1&b=%32", "b"), Ok(Some("2".into())));
        assert_eq!(parameter("a=1", "b"), Ok(None));
        assert_eq!(parameter("b=1&b=1", "b"), Err(Refusal::Malformed));
    }

    #[test]
    fn a_second_notification_is_not_smuggled_in() {
        let one = br#"{"notificationItems":[{"NotificationRequestItem":{"amount":{"value":5}}}]}"#;
        assert_eq!(adyen_item(one).unwrap(), b"::::5:::");
        let two = br#"{"notificationItems":[{},{}]}"#;
        assert_eq!(adyen_item(two), Err(Refusal::Malformed));
    }
}
