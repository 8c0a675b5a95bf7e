//! Reads an event's kind and its key for deduplication out of its headers and body.
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use sha2::{Digest, Sha256};

use hookwright_model::form;
use hookwright_model::pointer::{self, Wanted};
use hookwright_settings as settings;
use hookwright_store::Dedupe;

/// Bytes of a kind; the rest is cut.
const MAX_KIND: usize = 200;

static IDS: [HeaderName; 2] =
    [HeaderName::from_static("webhook-id"), HeaderName::from_static("svix-id")];
static CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
static CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
static CE_ID: HeaderName = HeaderName::from_static("ce-id");

/// The parts of a request that may have an event's kind or key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'e> {
    pub(crate) headers: &'e HeaderMap,
    /// The fields of a form in the query, if it is not in the body.
    fields: Option<&'e str>,
}

impl<'e> Envelope<'e> {
    pub(crate) fn new(headers: &'e HeaderMap) -> Self {
        Self { headers, fields: None }
    }

    /// Sets the form fields of a query.
    pub(crate) fn with_fields(self, fields: Option<&'e str>) -> Self {
        Self { fields, ..self }
    }
}

/// The selectors of kind and key, prepared once for each source.
#[derive(Debug)]
pub(super) struct Extraction {
    kind: Option<Selector>,
    key: Option<(Selector, Duration)>,
    /// Of both, so that one walk over the body finds them.
    wanted: Wanted,
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
        Self { kind, key, wanted: Wanted::new(&pointers) }
    }

    /// The kind (empty where there is none) and the key.
    pub(super) fn read(&self, envelope: Envelope<'_>, body: &[u8]) -> (Box<str>, Option<Dedupe>) {
        let found = self.wanted.select(body);
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

/// All parts with their lengths, so that different lists of parts never give the same text.
fn joined<'e>(parts: impl IntoIterator<Item = Option<Cow<'e, [u8]>>>) -> Option<Cow<'e, [u8]>> {
    let mut whole = Vec::new();
    for part in parts {
        let part = part.filter(|part| !part.is_empty())?;
        whole.extend_from_slice(&(part.len() as u64).to_be_bytes());
        whole.extend_from_slice(&part);
    }
    Some(Cow::Owned(whole))
}

/// The content mode of a CloudEvent (the HTTP binding, section 3): its attributes are in headers, or
/// in the body with the data, or the body is a list of such events.
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
