//! Forms: the fields of a body of `application/x-www-form-urlencoded` or `multipart/form-data`.
//!
//! Providers that post forms have their event's name, id and signature there. Nothing is
//! collected: a field is looked for from the front, and values are lent from the body.
use std::borrow::Cow;

use http::{HeaderMap, header};
use memchr::memmem;

/// Fields of one body that are looked at.
const MAX_FIELDS: usize = 1_000;
/// Bytes of the header of one part.
const MAX_HEAD: usize = 8 << 10;
/// Bytes of a boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What a body says of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field<'b> {
    /// The body has no such field, or is no form.
    None,
    /// One: its value, decoded.
    One(Cow<'b, [u8]>),
    /// More than one; this is the first.
    Several(Cow<'b, [u8]>),
}

impl<'b> Field<'b> {
    /// The first value, if there is any.
    pub fn first(self) -> Option<Cow<'b, [u8]>> {
        match self {
            Self::None => None,
            Self::One(value) | Self::Several(value) => Some(value),
        }
    }
}

/// Looks for a field. A body of another content type has none. Pure, and safe with any bytes.
pub fn field<'b>(headers: &HeaderMap, body: &'b [u8], name: &str) -> Field<'b> {
    Fields::new(headers, body).map_or(Field::None, |fields| fields.named(name))
}

/// Looks for a field of a form that came by GET or HEAD: its fields stand in the query, urlencoded.
pub fn query_field<'q>(query: &'q str, name: &str) -> Field<'q> {
    Fields::Encoded(query.as_bytes()).named(name)
}

/// The fields in their order.
enum Fields<'b> {
    Encoded(&'b [u8]),
    Parts { rest: &'b [u8], delimiter: Vec<u8> },
}

impl<'b> Fields<'b> {
    fn named(self, name: &str) -> Field<'b> {
        let named =
            |(found, value): (Cow<'_, [u8]>, _)| (*found == *name.as_bytes()).then_some(value);
        let mut values = self.take(MAX_FIELDS).filter_map(named);
        match (values.next(), values.next()) {
            (None, _) => Field::None,
            (Some(value), None) => Field::One(value),
            (Some(value), Some(_)) => Field::Several(value),
        }
    }

    fn new(headers: &HeaderMap, body: &'b [u8]) -> Option<Self> {
        let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        let essence = text.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Some(Self::Encoded(body));
        }
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let boundary = parameter(text, "boundary")?;
        if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
            return None;
        }
        let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
        // The first one may stand at the very beginning.
        let rest = match body.strip_prefix(&delimiter[2..]) {
            Some(rest) => rest,
            None => &body[memmem::find(body, &delimiter)? + delimiter.len()..],
        };
        Some(Self::Parts { rest, delimiter })
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (Cow<'b, [u8]>, Cow<'b, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Encoded(rest) => loop {
                if rest.is_empty() {
                    return None;
                }
                let (pair, after) = split(rest, b'&');
                *rest = after;
                if !pair.is_empty() {
                    let (name, value) = split(pair, b'=');
                    return Some((decoded(name), decoded(value)));
                }
            },
            Self::Parts { rest, delimiter } => loop {
                // Two hyphens end the last part; spaces may stand before the line's end.
                let (line, after) = rest.split_at(memmem::find(rest, b"\r\n")?);
                if line.starts_with(b"--") || !line.trim_ascii().is_empty() {
                    return None;
                }
                let end = memmem::find(after, delimiter)?;
                let part = &after[..end];
                *rest = &after[end + delimiter.len()..];
                // The line's end before the header belongs to the empty line after none.
                let head_end = memmem::find(&part[..part.len().min(MAX_HEAD)], b"\r\n\r\n")?;
                let (head, value) = (&part[..head_end], &part[head_end + 4..]);
                if let Some(name) = part_name(head) {
                    return Some((Cow::Owned(name), Cow::Borrowed(value)));
                }
            },
        }
    }
}

/// The field's name of a part's header.
fn part_name(head: &[u8]) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(head).ok()?;
    let disposition = head.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then_some(value)
    })?;
    parameter(disposition, "name").map(String::into_bytes)
}

/// A parameter of a header's value (RFC 9110, section 5.6.6), its quotes taken away.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        // Parameters without a value are passed over.
        let name = name.rsplit(';').next().unwrap_or_default().trim();
        let (text, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => {
                let (text, after) = after.split_once(';').unwrap_or((after, ""));
                (text.trim().to_owned(), after)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(text);
        }
        rest = after;
    }
}

/// A quoted text whose first quote is taken away, and what comes behind it.
fn unquoted(quoted: &str) -> Option<(String, &str)> {
    let mut text = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Some((text, &quoted[at + 1..])),
            '\\' => text.push(chars.next()?.1),
            other => text.push(other),
        }
    }
    None
}

/// Before the first such byte, and behind it.
fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(at, bytes) {
        Some(place) => (&bytes[..place], &bytes[place + 1..]),
        None => (bytes, b""),
    }
}

/// Without escapes, byte for byte: two values that differ stay different.
fn decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'%', b'+', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..2).filter(|_| *byte == b'%');
        let escaped = digits.and_then(|digits| {
            let mut value = [0];
            hex::decode_to_slice(digits, &mut value).ok().map(|()| value[0])
        });
        match (byte, escaped) {
            (_, Some(value)) => {
                out.push(value);
                rest = &after[2..];
            }
            (b'+', _) => out.push(b' '),
            (other, None) => out.push(*other),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const MULTIPART: &str = "multipart/form-data; charset=utf-8; boundary=\"a b\"";

    fn of(content_type: &str, body: &str, name: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
        let value = field(&headers, body.as_bytes(), name).first()?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn fields_of_an_encoded_form_are_decoded() {
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        let body = "a=1&&b=x+y%26%c3%a9%&c&=empty&%61b=2&a=3";
        for (name, value) in [
            ("a", Some("1")),
            ("b", Some("x y&é%")),
            ("c", Some("")),
            ("", Some("empty")),
            ("ab", Some("2")),
            ("none", None),
        ] {
            assert_eq!(of(form, body, name).as_deref(), value, "{name}");
        }
        assert_eq!(of("text/plain", body, "a"), None);
        let mut headers = HeaderMap::new();
        assert_eq!(field(&headers, b"a=1", "a"), Field::None);
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        assert_eq!(field(&headers, b"a=1&a=1", "a"), Field::Several(b"1"[..].into()));
        // What is no text stays apart, too.
        assert_eq!(field(&headers, b"a=%ff", "a"), Field::One(b"\xff"[..].into()));
    }

    #[test]
    fn fields_of_a_multipart_form_are_lent() {
        let body = "preamble\r\n--a b\r\nContent-Disposition: form-data; name=\"one\"\r\n\r\n1\r\n--a b  \r\n\
            content-type: text/plain\r\ncontent-disposition: form-data; filename=\"name=x\"; name=two\r\n\r\n\
            2\r\n\r\n--a\r\n\r\n--a b\r\n\r\n\r\nnameless\r\n--a b\r\n\
            Content-Disposition: form-data; name=\"q\\\"uote\"\r\n\r\n\r\n--a b--\r\n--a b\r\n\
            Content-Disposition: form-data; name=\"late\"\r\n\r\n1\r\n--a b--";
        for (name, value) in [
            ("one", Some("1")),
            ("two", Some("2\r\n\r\n--a\r\n")),
            ("q\"uote", Some("")),
            ("late", None),
            ("", None),
        ] {
            assert_eq!(of(MULTIPART, body, name).as_deref(), value, "{name}");
        }
        let first = "--a b\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--a b--";
        assert_eq!(of(MULTIPART, first, "a").as_deref(), Some("1"));
        assert_eq!(of("multipart/form-data", first, "a"), None, "no boundary");
        assert_eq!(of(MULTIPART, &first.replace("\r\n--a b--", ""), "a"), None, "cut");
        let large = format!("{}=1", "a&".repeat(MAX_FIELDS));
        assert_eq!(of("application/x-www-form-urlencoded", &large, "b"), None);
    }

    proptest! {
        #[test]
        fn any_body_is_looked_through(body in "(\r\n|--b|[:;= ]|name|\"|content-disposition|a|%|\\+|&){0,40}") {
            for content_type in ["application/x-www-form-urlencoded", "multipart/form-data;boundary=b"] {
                of(content_type, &body, "a");
            }
        }
    }
}
