//! Texts with places for what is only known at an attempt: `{timestamp}.{body}`.
use super::Part;
use hookwright_model::{listed, nearest};

/// More than any scheme has.
pub(super) const MAX_PIECES: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(Box<str>),
    Id,
    /// The attempt's time, in the unit of the scheme.
    Timestamp,
    Body,
    Signature,
}

/// A parsed text. The names in braces are filled in at each attempt; there is
/// no way to write a brace itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(pub(super) Vec<Piece>);

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its partner.
    #[error("has a `{{` without its `}}`, or a `}}` without its `{{`")]
    Brace,
    /// A name in braces that is not known here.
    #[error("has `{{{name}}}`, which is not known here")]
    Unknown {
        /// The name.
        name: String,
        /// The names that are known.
        help: String,
    },
    /// A name that the template must have.
    #[error("has no `{{{0}}}`")]
    Lacks(&'static str),
    /// Too many parts.
    #[error("has more than {MAX_PIECES} parts")]
    Long,
    /// Characters that no header may have.
    #[error("can't stand in a header")]
    NotHeader,
}

impl TemplateError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Brace => "write each place as one of `{id}`, `{timestamp}`, `{body}`, `{signature}`; braces stand for nothing else".to_owned(),
            Self::Unknown { help, .. } => help.clone(),
            Self::Lacks(name) => format!("put `{{{name}}}` where it belongs"),
            Self::Long => "make it shorter".to_owned(),
            Self::NotHeader => "use printable ASCII, on one line".to_owned(),
        }
    }
}

impl Template {
    /// What is signed: `{id}`, `{timestamp}` and `{body}`, the last of which must be there.
    ///
    /// # Errors
    /// The text is not such a template.
    pub fn signed(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text, &["id", "timestamp", "body"], "body")
    }

    /// The value of a header: `{id}`, `{timestamp}` and `{signature}`, the last of which must be there.
    ///
    /// # Errors
    /// The text is not such a template.
    pub fn value(text: &str) -> Result<Self, TemplateError> {
        if !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(TemplateError::NotHeader);
        }
        Self::parse(text, &["id", "timestamp", "signature"], "signature")
    }

    fn parse(text: &str, known: &[&str], needed: &'static str) -> Result<Self, TemplateError> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            push_text(&mut pieces, before);
            let inner = brace.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (name, after) = inner.ok_or(TemplateError::Brace)?;
            pieces.push(piece(name, known)?);
            rest = after;
        }
        push_text(&mut pieces, rest);
        let there = |piece: &Piece| piece.name() == Some(needed);
        match pieces {
            pieces if pieces.len() > MAX_PIECES => Err(TemplateError::Long),
            pieces if !pieces.iter().any(there) => Err(TemplateError::Lacks(needed)),
            pieces => Ok(Self(pieces)),
        }
    }

    /// None where it has a part that no delivery has.
    pub(super) fn of_parts(parts: &[Part]) -> Option<Self> {
        let piece = |part: &Part| match part {
            Part::Text(text) => Some(Piece::Text((*text).into())),
            Part::Id => Some(Piece::Id),
            Part::Time => Some(Piece::Timestamp),
            Part::Body => Some(Piece::Body),
            Part::Method
            | Part::Url
            | Part::HubspotUrl
            | Part::TwilioUrl
            | Part::TwilioForm
            | Part::AdyenItem => None,
        };
        parts.iter().map(piece).collect::<Option<Vec<_>>>().map(Self)
    }

    /// A text, then one more piece.
    pub(super) fn after(text: &str, piece: Piece) -> Self {
        let mut pieces = Vec::new();
        push_text(&mut pieces, text);
        pieces.push(piece);
        Self(pieces)
    }

    /// The bytes of each piece, to `read`; allocates nothing.
    pub(super) fn with<T>(&self, filled: &Filled<'_>, read: impl FnOnce(&[&[u8]]) -> T) -> T {
        let mut slices: [&[u8]; MAX_PIECES] = [b""; MAX_PIECES];
        for (slice, piece) in slices.iter_mut().zip(&self.0) {
            *slice = match piece {
                Piece::Text(text) => text.as_bytes(),
                Piece::Id => filled.id,
                Piece::Timestamp => filled.timestamp,
                Piece::Body => filled.body,
                Piece::Signature => filled.signature,
            };
        }
        read(&slices[..self.0.len().min(MAX_PIECES)])
    }
}

/// The values for the names in a template.
#[derive(Clone, Copy)]
pub(super) struct Filled<'f> {
    pub(super) id: &'f [u8],
    pub(super) timestamp: &'f [u8],
    pub(super) body: &'f [u8],
    pub(super) signature: &'f [u8],
}

impl Piece {
    fn name(&self) -> Option<&'static str> {
        match self {
            Self::Text(_) => None,
            Self::Id => Some("id"),
            Self::Timestamp => Some("timestamp"),
            Self::Body => Some("body"),
            Self::Signature => Some("signature"),
        }
    }
}

fn push_text(pieces: &mut Vec<Piece>, text: &str) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text.into()));
    }
}

fn piece(name: &str, known: &[&str]) -> Result<Piece, TemplateError> {
    let all = [Piece::Id, Piece::Timestamp, Piece::Body, Piece::Signature];
    let named = all.into_iter().find(|piece| piece.name() == Some(name));
    named.filter(|_| known.contains(&name)).ok_or_else(|| TemplateError::Unknown {
        // A text from the settings: cut, so that a message stays one.
        name: name.chars().filter(|char| !char.is_control()).take(40).collect(),
        help: match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{{{near}}}`?"),
            None => format!("known here are {}", listed(known)),
        },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_and_texts_are_told_apart() {
        let text = |text: &str| Piece::Text(text.into());
        let parsed = Template::signed("v0:{timestamp}:{body}").expect("a template");
        assert_eq!(parsed.0, [text("v0:"), Piece::Timestamp, text(":"), Piece::Body]);
        let parsed = Template::value("{signature}").expect("a template");
        assert_eq!(parsed.0, [Piece::Signature]);
    }

    #[test]
    fn what_is_no_template_says_why() {
        for (text, message, help) in [
            ("{body", "without its", "write each place"),
            ("body}", "without its", "write each place"),
            ("{body}{boby}", "`{boby}`", "did you mean `{body}`?"),
            ("{url}{body}", "`{url}`", "known here are"),
            ("{id}.{timestamp}", "no `{body}`", "`{body}` where it belongs"),
            ("{signature}{body}", "`{signature}`", "known here are"),
            (&"{body}".repeat(17), "more than 16", "shorter"),
        ] {
            let error = Template::signed(text).expect_err(text);
            assert!(error.to_string().contains(message), "{text}: {error}");
            assert!(error.help().contains(help), "{text}: {}", error.help());
        }
        assert_eq!(Template::value("sha256="), Err(TemplateError::Lacks("signature")));
        assert_eq!(Template::value("{signature}\r\nx: y"), Err(TemplateError::NotHeader));
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_a_mistake(text in "[{}a-z.]{0,40}|(?s).{0,40}") {
            if let Ok(template) = Template::signed(&text) {
                let filled = Filled { id: b"{id}", timestamp: b"{timestamp}", body: b"{body}", signature: b"" };
                let back = template.with(&filled, |parts| parts.concat());
                prop_assert_eq!(back, text.into_bytes());
            }
        }
    }
}
