//! Reads an event's kind and its key for deduplication out of its headers and body.
use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use sha2::{Digest, Sha256};

use super::{DedupeFrom, KeyFrom, KindFrom};
use crate::model::pointer;
use crate::store::Dedupe;

/// Bytes of a kind; the rest is cut.
const MAX_KIND: usize = 200;

static IDS: [HeaderName; 2] =
    [HeaderName::from_static("webhook-id"), HeaderName::from_static("svix-id")];

/// What to look for, settled once.
#[derive(Debug)]
pub(super) struct Facts {
    kind: Option<Place>,
    key: Option<(Place, Duration)>,
    /// Of both, so that one walk over the body finds them.
    pointers: Vec<String>,
}

#[derive(Debug)]
enum Place {
    Id,
    Header(HeaderName),
    /// An index into the pointers.
    Pointer(usize),
    Whole,
    All(Vec<Place>),
}

impl Facts {
    pub(super) fn new(kind: &KindFrom, dedupe: Option<&DedupeFrom>) -> Self {
        let mut pointers = Vec::new();
        let kind = match kind {
            KindFrom::None => None,
            KindFrom::Header(name) => Some(Place::Header(name.clone())),
            KindFrom::Pointer(pointer) => Some(Place::pointer(pointer, &mut pointers)),
        };
        let key = dedupe.map(|dedupe| (Place::of_key(&dedupe.key, &mut pointers), dedupe.window));
        Self { kind, key, pointers }
    }

    /// The kind (empty where there is none) and the key.
    pub(super) fn read(&self, headers: &HeaderMap, body: &[u8]) -> (Box<str>, Option<Dedupe>) {
        let found = if self.pointers.is_empty() {
            Vec::new()
        } else {
            pointer::select(body, &self.pointers)
        };
        let kind = self.kind.as_ref().and_then(|place| place.look(headers, body, &found));
        let kind = kind.map(|value| clean(&String::from_utf8_lossy(&value))).unwrap_or_default();
        let dedupe = self.key.as_ref().and_then(|(place, window)| {
            let value = place.look(headers, body, &found)?;
            Some(Dedupe { key: hash(&value), window: *window })
        });
        (kind, dedupe)
    }
}

impl Place {
    fn pointer(pointer: &str, pointers: &mut Vec<String>) -> Self {
        pointers.push(pointer.to_owned());
        Self::Pointer(pointers.len() - 1)
    }

    fn of_key(key: &KeyFrom, pointers: &mut Vec<String>) -> Self {
        match key {
            KeyFrom::Id => Self::Id,
            KeyFrom::Header(name) => Self::Header(name.clone()),
            KeyFrom::Pointer(pointer) => Self::pointer(pointer, pointers),
            KeyFrom::Body => Self::Whole,
            KeyFrom::All(parts) => {
                Self::All(parts.iter().map(|part| Self::of_key(part, pointers)).collect())
            }
        }
    }

    /// None where there is nothing, or an empty text.
    fn look<'e>(
        &self,
        headers: &'e HeaderMap,
        body: &'e [u8],
        found: &[Option<&'e str>],
    ) -> Option<Cow<'e, [u8]>> {
        let header = |name| headers.get(name).map(|value| Cow::Borrowed(value.as_bytes()));
        let value = match self {
            Self::Id => IDS.iter().find_map(header),
            Self::Header(name) => header(name),
            Self::Pointer(index) => pointer::plain(found.get(*index).copied().flatten()?),
            Self::Whole => Some(Cow::Borrowed(body)),
            // With their lengths, so that no two lists of parts read alike.
            Self::All(places) => {
                let mut whole = Vec::new();
                for place in places {
                    let part = place.look(headers, body, found)?;
                    whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
                    whole.extend_from_slice(&part);
                }
                Some(Cow::Owned(whole))
            }
        };
        value.filter(|value| !value.is_empty())
    }
}

/// Without control characters, cut to the limit between two characters.
fn clean(text: &str) -> Box<str> {
    if text.len() <= MAX_KIND && !text.contains(char::is_control) {
        return text.into();
    }
    let mut kind = String::with_capacity(MAX_KIND);
    for char in text.chars().filter(|char| !char.is_control()) {
        if kind.len() + char.len_utf8() > MAX_KIND {
            break;
        }
        kind.push(char);
    }
    kind.into()
}

fn hash(key: &[u8]) -> [u8; 16] {
    let whole: [u8; 32] = Sha256::digest(key).into();
    let mut first = [0; 16];
    first.copy_from_slice(&whole[..16]);
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn kind_at(pointer: &str, body: &str) -> String {
        let facts = Facts::new(&KindFrom::Pointer(pointer.into()), None);
        facts.read(&HeaderMap::new(), body.as_bytes()).0.into()
    }

    fn key(from: KeyFrom, headers: &HeaderMap, body: &str) -> Option<[u8; 16]> {
        let dedupe = DedupeFrom { key: from, window: Duration::from_secs(60) };
        let facts = Facts::new(&KindFrom::Pointer("/type".into()), Some(&dedupe));
        let (_, dedupe) = facts.read(headers, body.as_bytes());
        dedupe.map(|dedupe| dedupe.key)
    }

    #[test]
    fn a_kind_is_the_text_at_the_pointer() {
        let body =
            r#"{"type":"invoice.paid","n":5,"none":null,"esc":"a\"\u00e9\n","list":[1,{"x":"y"}]}"#;
        assert_eq!(kind_at("/type", body), "invoice.paid");
        assert_eq!(kind_at("/n", body), "5");
        assert_eq!(kind_at("/none", body), "");
        assert_eq!(kind_at("/esc", body), "a\"é");
        assert_eq!(kind_at("/list/1/x", body), "y");
        assert_eq!(kind_at("/absent", body), "");
        assert_eq!(kind_at("/type", "no json"), "");
    }

    #[test]
    fn a_kind_may_come_from_a_header_of_any_bytes() {
        let name = HeaderName::from_static("x-event");
        let facts = Facts::new(&KindFrom::Header(name.clone()), None);
        let mut headers = HeaderMap::new();
        headers.insert(&name, HeaderValue::from_bytes(b"pu\xffsh\t").unwrap());
        assert_eq!(&*facts.read(&headers, b"").0, "pu\u{fffd}sh");
    }

    #[test]
    fn a_key_comes_from_the_id_a_header_or_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert("svix-id", HeaderValue::from_static("one"));
        headers.insert("x-key", HeaderValue::from_static("two"));
        let body = r#"{"type":"t","id":"three","empty":""}"#;
        let header = |name| KeyFrom::Header(HeaderName::from_static(name));
        assert_eq!(key(KeyFrom::Id, &headers, body), Some(hash(b"one")));
        assert_eq!(key(header("x-key"), &headers, body), Some(hash(b"two")));
        assert_eq!(key(KeyFrom::Pointer("/id".into()), &headers, body), Some(hash(b"three")));
        assert_eq!(key(header("x-none"), &headers, body), None);
        for absent in ["/none", "/empty"] {
            assert_eq!(key(KeyFrom::Pointer(absent.into()), &headers, body), None);
        }
        headers.insert("webhook-id", HeaderValue::from_static("zero"));
        assert_eq!(key(KeyFrom::Id, &headers, body), Some(hash(b"zero")));
    }

    #[test]
    fn a_key_may_be_the_whole_body_or_several_parts() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("ab"));
        assert_eq!(key(KeyFrom::Body, &headers, "{} "), Some(hash(b"{} ")));
        assert_ne!(key(KeyFrom::Body, &headers, "{}"), key(KeyFrom::Body, &headers, "{} "));
        let parts = |pointers: &[&str]| {
            let pointers = pointers.iter().map(|text| KeyFrom::Pointer((*text).into()));
            let header = KeyFrom::Header(HeaderName::from_static("x-key"));
            KeyFrom::All(pointers.chain([header]).collect())
        };
        let both = |body| key(parts(&["/a", "/b"]), &headers, body);
        assert_eq!(both(r#"{"a":"1","b":2,"c":3}"#), both(r#"{"b":2,"a":"1"}"#));
        // The bounds between the parts count.
        assert_ne!(both(r#"{"a":"1","b":"23"}"#), both(r#"{"a":"12","b":"3"}"#));
        assert_eq!(both(r#"{"a":"1"}"#), None, "one is missing: no key");
    }

    proptest! {
        #[test]
        fn a_kind_is_short_and_printable(text in "\\PC*|(.|\\n|\u{0})*|[a-zé\u{1f600}]{150,300}") {
            let kind = clean(&text);
            prop_assert!(kind.len() <= MAX_KIND);
            prop_assert!(!kind.contains(char::is_control));
            let all: String = text.chars().filter(|char| !char.is_control()).collect();
            prop_assert!(all.starts_with(&*kind));
            prop_assert!(*kind == *all || kind.len() > MAX_KIND - 4);
        }

        #[test]
        fn any_body_is_read_without_a_panic(body: Vec<u8>) {
            Facts::new(&KindFrom::Pointer("/a/0".into()), None).read(&HeaderMap::new(), &body);
        }
    }
}
