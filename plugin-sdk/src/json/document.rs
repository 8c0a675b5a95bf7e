//! A parsed body: the places of its values, over the text as it came.
use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::scan::{Span, scan};
use super::{Editor, JsonError, Pointer};

/// JSON text with the place of each value in it. Nothing is converted: numbers
/// keep their digits, members their order, and members of the same name are
/// all there.
#[derive(Debug, Clone)]
pub struct Document<'t> {
    pub(super) text: &'t str,
    pub(super) spans: Vec<Span>,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// Digits, with all that may stand among them.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// One value of a [`Document`].
#[derive(Debug, Clone, Copy)]
pub struct Node<'d> {
    document: &'d Document<'d>,
    pub(super) index: usize,
}

impl<'t> Document<'t> {
    /// Reads the text.
    ///
    /// # Errors
    /// When it is no JSON (RFC 8259), or deeper than 128 levels.
    pub fn parse(text: &'t str) -> Result<Self, JsonError> {
        Ok(Self { text, spans: scan(text)? })
    }

    /// The whole value.
    pub fn root(&self) -> Node<'_> {
        Node { document: self, index: 0 }
    }

    /// The value at the pointer; see [`Node::at`].
    pub fn at(&self, pointer: &Pointer) -> Option<Node<'_>> {
        self.root().at(pointer)
    }

    /// The values at the pointer, where `*` matches any member or element; see [`Node::all`].
    pub fn all(&self, pattern: &Pointer) -> Vec<Node<'_>> {
        self.root().all(pattern)
    }

    /// Starts an edit of the text.
    pub fn edit(&self) -> Editor<'_> {
        Editor::new(self)
    }
}

impl<'d> Node<'d> {
    fn span(self) -> &'d Span {
        &self.document.spans[self.index]
    }

    /// What the value is.
    pub fn kind(self) -> Kind {
        self.span().kind
    }

    /// Byte for byte as it stands in the text.
    pub fn raw(self) -> &'d str {
        &self.document.text[self.span().start..self.span().end]
    }

    /// The text of a string; none where the value is no string, or holds half
    /// of a surrogate pair.
    pub fn text(self) -> Option<Cow<'d, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let inner = &self.raw()[1..self.raw().len() - 1];
        if inner.contains('\\') {
            serde_json::from_str(self.raw()).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// The value as a type of yours.
    ///
    /// # Errors
    /// When the value is not of this shape.
    pub fn parse<T: DeserializeOwned>(self) -> crate::Result<T> {
        Ok(serde_json::from_str(self.raw())?)
    }

    /// The members of an object, name and value, in order; none where it is no object.
    pub fn members(self) -> impl Iterator<Item = (Node<'d>, Node<'d>)> {
        let mut names = self.inside(Kind::Object);
        std::iter::from_fn(move || Some((names.next()?, names.next()?)))
    }

    /// The elements of an array; none where it is no array.
    pub fn items(self) -> impl Iterator<Item = Node<'d>> {
        self.inside(Kind::Array)
    }

    /// This value and all inside it, names of members not among them.
    pub fn walk(self, visit: &mut impl FnMut(Node<'d>)) {
        visit(self);
        self.items().for_each(|item| item.walk(visit));
        self.members().for_each(|(_, value)| value.walk(visit));
    }

    /// The value at the pointer, from here; of members with the same name the last.
    pub fn at(self, pointer: &Pointer) -> Option<Node<'d>> {
        pointer.tokens().iter().try_fold(self, |node, token| match node.kind() {
            Kind::Object => {
                node.members().filter(|(name, _)| name.is(token)).last().map(|(_, value)| value)
            }
            Kind::Array => node.items().nth(index(token)?),
            _ => None,
        })
    }

    /// All values at the pointer, from here, where a token `*` matches any
    /// member or element, and members of the same name count each.
    pub fn all(self, pattern: &Pointer) -> Vec<Node<'d>> {
        let mut found = Vec::new();
        self.gather(pattern.tokens(), &mut found);
        found
    }

    fn gather(self, tokens: &[String], found: &mut Vec<Node<'d>>) {
        let Some((token, rest)) = tokens.split_first() else { return found.push(self) };
        for (name, value) in self.members() {
            if token == "*" || name.is(token) {
                value.gather(rest, found);
            }
        }
        for (position, item) in self.items().enumerate() {
            if token == "*" || index(token) == Some(position) {
                item.gather(rest, found);
            }
        }
    }

    fn is(self, name: &str) -> bool {
        self.text().is_some_and(|text| text == name)
    }

    fn inside(self, kind: Kind) -> impl Iterator<Item = Node<'d>> {
        let document = self.document;
        let after = if self.kind() == kind { self.span().after } else { self.index + 1 };
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let index = next;
            if index >= after {
                return None;
            }
            next = document.spans[index].after;
            Some(Node { document, index })
        })
    }
}

/// An array index as RFC 6901 writes it: digits without leading zeros.
fn index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit());
    let leading = token.len() > 1 && token.starts_with('0');
    if plain && !leading { token.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn at<'d>(document: &'d Document<'_>, pointer: &str) -> Option<&'d str> {
        document.at(&pointer.parse().unwrap()).map(Node::raw)
    }

    #[test]
    fn finds_text_byte_for_byte() {
        let text = r#" {"a": {"b/c": [10, {"~": 1.50e2}]}, "a": {"x": 12345678901234567890123}} "#;
        let document = Document::parse(text).unwrap();
        assert_eq!(at(&document, "/a/x"), Some("12345678901234567890123"), "the last of a name");
        assert_eq!(at(&document, "/a/none"), None);
        let all: Vec<_> =
            document.all(&"/a/*/1/~0".parse().unwrap()).into_iter().map(Node::raw).collect();
        assert_eq!(all, ["1.50e2"], "all of a name");
        assert_eq!(at(&Document::parse("[1,2]").unwrap(), "/01"), None);
    }

    #[test]
    fn broken_text_is_refused_with_its_place() {
        let cases: [(&str, usize); 9] = [
            ("", 0),
            ("{\"a\":1", 6),
            ("[1,]", 3),
            ("01", 1),
            ("\"\u{1}\"", 1),
            ("\"\\x\"", 2),
            ("{a:1}", 1),
            ("nul", 0),
            ("1.", 2),
        ];
        for (text, place) in cases {
            assert_eq!(Document::parse(text).unwrap_err().at, place, "{text}");
        }
        assert!(Document::parse(&format!("{}{}", "[".repeat(200), "]".repeat(200))).is_err());
    }

    proptest! {
        #[test]
        fn accepts_what_serde_json_accepts(text in "[\\[\\]{},:\"a\\\\u01.eE+ -]{0,12}") {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(Document::parse(&text).is_ok(), theirs, "{}", text);
        }

        #[test]
        fn agrees_with_serde_json_on_pointers(
            value in crate::testing::json(),
            pointer in "(/[a-c0-2]{0,2}|/~0|/~1){0,4}",
        ) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let document = Document::parse(&text).unwrap();
            let found = at(&document, &pointer).map(|raw| serde_json::from_str::<Value>(raw).unwrap());
            prop_assert_eq!(found.as_ref(), value.pointer(&pointer));
        }
    }
}
