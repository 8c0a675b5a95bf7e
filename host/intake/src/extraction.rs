//! Reads an event's kind and its key for deduplication out of its headers and body.
use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use hookwright_model::{form, pointer};
use hookwright_settings as settings;
use hookwright_store::Dedupe;

/// Bytes of a kind; the rest is cut.
const MAX_KIND: usize = 200;

static IDS: [HeaderName; 2] =
    [HeaderName::from_static("webhook-id"), HeaderName::from_static("svix-id")];
static CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
static CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
static CE_ID: HeaderName = HeaderName::from_static("ce-id");

/// What comes with a body and may hold an event's kind or key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'e> {
    pub(crate) headers: &'e HeaderMap,
    /// The fields of a form that does not stand in the body, as a query has them.
    fields: Option<&'e str>,
}

impl<'e> Envelope<'e> {
    pub(crate) fn new(headers: &'e HeaderMap) -> Self {
        Self { headers, fields: None }
    }

    /// With the fields of a form that stand in a query.
    pub(crate) fn with_fields(self, fields: Option<&'e str>) -> Self {
        Self { fields, ..self }
    }
}

/// What to look for, settled once.
#[derive(Debug)]
pub(super) struct Extraction {
    kind: Option<Selector>,
    key: Option<(Selector, Duration)>,
    /// Of both, so that one walk over the body finds them.
    pointers: Vec<String>,
}

#[derive(Debug)]
enum Selector {
    Id,
    Header(HeaderName),
    /// One that must have this value.
    HeaderIs(HeaderName, HeaderValue),
    /// An index into the pointers.
    Pointer(usize),
    Form(String),
    CloudEventType,
    CloudEventId,
    Whole,
    First(Vec<Selector>),
    All(Vec<Selector>),
}

impl Extraction {
    pub(super) fn new(
        kind: Option<&settings::Selector>,
        dedupe: Option<&settings::Dedupe>,
    ) -> Self {
        let mut pointers = Vec::new();
        let kind = kind.and_then(|kind| Selector::for_kind(kind, &mut pointers));
        let key =
            dedupe.map(|dedupe| (Selector::for_key(&dedupe.key, &mut pointers), dedupe.window));
        Self { kind, key, pointers }
    }

    /// The kind (empty where there is none) and the key.
    pub(super) fn read(&self, envelope: Envelope<'_>, body: &[u8]) -> (Box<str>, Option<Dedupe>) {
        let found = if self.pointers.is_empty() {
            Vec::new()
        } else {
            pointer::select(body, &self.pointers)
        };
        let kind = self.kind.as_ref().and_then(|selector| selector.select(envelope, body, &found));
        let kind = kind.map(|value| clean(&String::from_utf8_lossy(&value))).unwrap_or_default();
        let dedupe = self.key.as_ref().and_then(|(selector, window)| {
            let value = selector.select(envelope, body, &found)?;
            Some(Dedupe { key: hash(&value), window: *window })
        });
        (kind, dedupe)
    }
}

impl Selector {
    fn pointer(pointer: &str, pointers: &mut Vec<String>) -> Self {
        pointers.push(pointer.to_owned());
        Self::Pointer(pointers.len() - 1)
    }

    /// None where it selects no kind.
    fn for_kind(kind: &settings::Selector, pointers: &mut Vec<String>) -> Option<Self> {
        use settings::Selector as From;
        Some(match kind {
            From::Id | From::Body | From::All(_) => return None,
            From::Header(name) => Self::Header(name.clone()),
            From::HeaderIs(name, value) => Self::HeaderIs(name.clone(), value.clone()),
            From::Json(pointer) => Self::pointer(pointer, pointers),
            From::Form(name) => Self::Form(name.clone()),
            From::CloudEvents => Self::CloudEventType,
            From::First(selectors) => Self::First(
                selectors
                    .iter()
                    .filter_map(|selector| Self::for_kind(selector, pointers))
                    .collect(),
            ),
        })
    }

    fn for_key(key: &settings::Selector, pointers: &mut Vec<String>) -> Self {
        use settings::Selector as From;
        match key {
            From::Id => Self::Id,
            From::Header(name) | From::HeaderIs(name, _) => Self::Header(name.clone()),
            From::Json(pointer) => Self::pointer(pointer, pointers),
            From::Form(name) => Self::Form(name.clone()),
            From::CloudEvents => Self::CloudEventId,
            From::Body => Self::Whole,
            From::First(selectors) => Self::First(
                selectors.iter().map(|selector| Self::for_key(selector, pointers)).collect(),
            ),
            From::All(parts) => {
                Self::All(parts.iter().map(|part| Self::for_key(part, pointers)).collect())
            }
        }
    }

    /// None where there is nothing, or an empty text.
    fn select<'e>(
        &self,
        envelope: Envelope<'e>,
        body: &'e [u8],
        found: &[Option<&'e str>],
    ) -> Option<Cow<'e, [u8]>> {
        let headers = envelope.headers;
        let header = |name| headers.get(name).map(|value| Cow::Borrowed(value.as_bytes()));
        let value = match self {
            Self::Id => IDS.iter().find_map(header),
            Self::Header(name) => header(name),
            Self::Pointer(index) => pointer::plain(found.get(*index).copied().flatten()?),
            Self::HeaderIs(name, wanted) => header(name).filter(|value| **value == *wanted),
            Self::Form(name) => match (form::field(headers, body, name).first(), envelope.fields) {
                (None, Some(query)) => form::query_field(query, name).first(),
                (value, _) => value,
            },
            Self::CloudEventType => match Mode::of(headers) {
                Mode::Binary => header(&CE_TYPE),
                Mode::Structured => pointer::plain(pointer::at(body, "/type")?),
                Mode::Batched => pointer::plain(pointer::at(body, "/0/type")?),
            },
            Self::CloudEventId => match Mode::of(headers) {
                Mode::Binary => joined([header(&CE_SOURCE), header(&CE_ID)]),
                Mode::Structured => {
                    let found = pointer::select(body, &["/source", "/id"]);
                    joined(found.into_iter().map(|json| json.and_then(pointer::plain)))
                }
                // Several events, each with an id of its own.
                Mode::Batched => None,
            },
            Self::Whole => Some(Cow::Borrowed(body)),
            Self::First(selectors) => {
                selectors.iter().find_map(|it| it.select(envelope, body, found))
            }
            Self::All(selectors) => {
                joined(selectors.iter().map(|it| it.select(envelope, body, found)))
            }
        };
        value.filter(|value| !value.is_empty())
    }
}

/// All parts with their lengths, so that no two lists of parts read alike.
fn joined<'e>(parts: impl IntoIterator<Item = Option<Cow<'e, [u8]>>>) -> Option<Cow<'e, [u8]>> {
    let mut whole = Vec::new();
    for part in parts {
        let part = part.filter(|part| !part.is_empty())?;
        whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
        whole.extend_from_slice(&part);
    }
    Some(Cow::Owned(whole))
}

/// How a CloudEvent comes (the HTTP binding, section 3): its attributes stand in headers, or
/// with the data in the body, or a list of such bodies does.
enum Mode {
    Binary,
    Structured,
    Batched,
}

impl Mode {
    fn of(headers: &HeaderMap) -> Self {
        let value = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let essence = value.and_then(|value| value.split(|byte| *byte == b';').next());
        let essence = essence.unwrap_or_default().trim_ascii();
        if essence.eq_ignore_ascii_case(b"application/cloudevents+json") {
            Self::Structured
        } else if essence.eq_ignore_ascii_case(b"application/cloudevents-batch+json") {
            Self::Batched
        } else {
            Self::Binary
        }
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
    use proptest::prelude::*;

    fn kind_at(pointer: &str, body: &str) -> String {
        let extraction = Extraction::new(Some(&settings::Selector::Json(pointer.into())), None);
        extraction.read(Envelope::new(&HeaderMap::new()), body.as_bytes()).0.into()
    }

    fn key(from: settings::Selector, headers: &HeaderMap, body: &str) -> Option<[u8; 16]> {
        let dedupe = settings::Dedupe { key: from, window: Duration::from_secs(60) };
        let extraction =
            Extraction::new(Some(&settings::Selector::Json("/type".into())), Some(&dedupe));
        let (_, dedupe) = extraction.read(Envelope::new(headers), body.as_bytes());
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
        let extraction = Extraction::new(Some(&settings::Selector::Header(name.clone())), None);
        let mut headers = HeaderMap::new();
        headers.insert(&name, HeaderValue::from_bytes(b"pu\xffsh\t").unwrap());
        assert_eq!(&*extraction.read(Envelope::new(&headers), b"").0, "pu\u{fffd}sh");
    }

    #[test]
    fn a_key_comes_from_the_id_a_header_or_the_body() {
        let mut headers = HeaderMap::new();
        headers.insert("svix-id", HeaderValue::from_static("one"));
        headers.insert("x-key", HeaderValue::from_static("two"));
        let body = r#"{"type":"t","id":"three","empty":""}"#;
        let header = |name| settings::Selector::Header(HeaderName::from_static(name));
        assert_eq!(key(settings::Selector::Id, &headers, body), Some(hash(b"one")));
        assert_eq!(key(header("x-key"), &headers, body), Some(hash(b"two")));
        assert_eq!(
            key(settings::Selector::Json("/id".into()), &headers, body),
            Some(hash(b"three"))
        );
        assert_eq!(key(header("x-none"), &headers, body), None);
        for absent in ["/none", "/empty"] {
            assert_eq!(key(settings::Selector::Json(absent.into()), &headers, body), None);
        }
        headers.insert("webhook-id", HeaderValue::from_static("zero"));
        assert_eq!(key(settings::Selector::Id, &headers, body), Some(hash(b"zero")));
    }

    #[test]
    fn a_key_may_be_the_whole_body_or_several_parts() {
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_static("ab"));
        assert_eq!(key(settings::Selector::Body, &headers, "{} "), Some(hash(b"{} ")));
        assert_ne!(
            key(settings::Selector::Body, &headers, "{}"),
            key(settings::Selector::Body, &headers, "{} ")
        );
        let parts = |pointers: &[&str]| {
            let pointers = pointers.iter().map(|text| settings::Selector::Json((*text).into()));
            let header = settings::Selector::Header(HeaderName::from_static("x-key"));
            settings::Selector::All(pointers.chain([header]).collect())
        };
        let both = |body| key(parts(&["/a", "/b"]), &headers, body);
        assert_eq!(both(r#"{"a":"1","b":2,"c":3}"#), both(r#"{"b":2,"a":"1"}"#));
        // The bounds between the parts count.
        assert_ne!(both(r#"{"a":"1","b":"23"}"#), both(r#"{"a":"12","b":"3"}"#));
        assert_eq!(both(r#"{"a":"1"}"#), None, "one is missing: no key");
    }

    /// A byte order mark, half a surrogate pair or a number beyond all bounds hid kind and key.
    #[test]
    fn regression_kind_and_key_are_found_in_all_that_is_json() {
        let none = HeaderMap::new();
        let plain = key(settings::Selector::Json("/id".into()), &none, r#"{"id":"1"}"#);
        assert!(plain.is_some());
        for more in ["1", "1e400", r#""\ud800""#, r#"{"\udc00":[-1e999]}"#] {
            for start in ["", "\u{feff}"] {
                let body = format!("{start}{{\"more\":{more},\"type\":\"t\",\"id\":\"1\"}}");
                assert_eq!(kind_at("/type", &body), "t", "{body}");
                assert_eq!(
                    key(settings::Selector::Json("/id".into()), &none, &body),
                    plain,
                    "{body}"
                );
            }
        }
    }

    #[test]
    fn regression_a_cloud_event_is_known_in_every_mode() {
        let of = |content_type: &'static str, more: &[(&'static str, &'static str)], body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            for (name, value) in more {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            let dedupe = settings::Dedupe {
                key: settings::Selector::CloudEvents,
                window: Duration::from_secs(60),
            };
            let extraction = Extraction::new(Some(&settings::Selector::CloudEvents), Some(&dedupe));
            let (kind, dedupe) = extraction.read(Envelope::new(&headers), body.as_bytes());
            (String::from(kind), dedupe.map(|dedupe| dedupe.key))
        };
        let body = r#"{"specversion":"1.0","type":"com.example.made","source":"/s","id":"1"}"#;
        let attributes = [("ce-type", "com.example.made"), ("ce-source", "/s"), ("ce-id", "1")];
        let (kind, id) = of("application/cloudevents+json; charset=UTF-8", &[], body);
        assert_eq!((kind.as_str(), id.is_some()), ("com.example.made", true));
        // The same event in the other mode is the same event.
        let binary = of("application/json", &attributes, r#"{"type":"of the data"}"#);
        assert_eq!(binary, (kind.clone(), id));
        assert_eq!(of("text/plain", &attributes, "x"), (kind.clone(), id));
        let batch = of("application/cloudevents-batch+json", &[], &format!("[{body},{body}]"));
        assert_eq!(batch, (kind.clone(), None));
        assert_eq!(of("application/CloudEvents+JSON", &attributes, "{}"), (String::new(), None));
        let other = body.replace("\"/s\"", "\"/t\"");
        assert_ne!(of("application/cloudevents+json", &[], &other), (kind, id));
    }

    #[test]
    fn regression_forms_have_a_kind_and_a_key() {
        let of = |content_type: &'static str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_static(content_type));
            let key = settings::Selector::All(vec![
                settings::Selector::Form("id".into()),
                settings::Selector::Form("part".into()),
            ]);
            let dedupe = settings::Dedupe { key, window: Duration::from_secs(60) };
            let kind = settings::Selector::First(vec![
                settings::Selector::Json("/event".into()),
                settings::Selector::Form("event".into()),
            ]);
            let extraction = Extraction::new(Some(&kind), Some(&dedupe));
            let (kind, dedupe) = extraction.read(Envelope::new(&headers), body.as_bytes());
            (String::from(kind), dedupe.map(|dedupe| dedupe.key))
        };
        let form = "application/x-www-form-urlencoded";
        let (kind, key) = of(form, "id=1&part=%32&event=mail%2Eopened");
        assert_eq!((kind.as_str(), key.is_some()), ("mail.opened", true));
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let parts = [field("event", "mail.opened"), field("id", "1"), field("part", "2")].concat();
        let multipart = of("multipart/form-data; boundary=b", &format!("{parts}--b--\r\n"));
        assert_eq!(multipart, (kind, key));
        assert_ne!(of(form, "id=12&part=&event=a").1, key);
        assert_eq!(of(form, "id=1&event=a").1, None, "one is missing: no key");
        assert_eq!(of("application/json", r#"{"event":"json"}"#).0, "json");
    }

    #[test]
    fn regression_one_value_of_a_header_may_be_the_kind_before_another_header() {
        let kind = settings::Selector::First(vec![
            settings::Selector::HeaderIs(
                HeaderName::from_static("x-sort"),
                HeaderValue::from_static("revocation"),
            ),
            settings::Selector::Header(HeaderName::from_static("x-kind")),
        ]);
        let extraction = Extraction::new(Some(&kind), None);
        let mut headers = HeaderMap::new();
        headers.insert("x-kind", HeaderValue::from_static("follow"));
        headers.insert("x-sort", HeaderValue::from_static("notification"));
        assert_eq!(&*extraction.read(Envelope::new(&headers), b"").0, "follow");
        headers.insert("x-sort", HeaderValue::from_static("revocation"));
        assert_eq!(&*extraction.read(Envelope::new(&headers), b"").0, "revocation");
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
            Extraction::new(Some(&settings::Selector::Json("/a/0".into())), None).read(Envelope::new(&HeaderMap::new()), &body);
        }
    }
}
