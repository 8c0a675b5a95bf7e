//! One setting. One call states its key, kind, doc text, range and default; it
//! reads the value, reports what is wrong with it, and describes itself for the
//! reference page.
use super::kind::Kind;
use super::reader::{At, Section};
use super::reference::Row;
use super::tree::{Node, Origin};
use super::unit::Fault;

impl<'a, 't> Section<'a, 't> {
    /// A setting. End the call with `default`, `required` or `optional`.
    pub(super) fn key<K: Kind>(
        &self,
        name: &'static str,
        kind: K,
        doc: &'static str,
    ) -> Setting<'_, 'a, 't, K> {
        Setting { section: self, name, kind, doc, range: None }
    }
}

/// A setting that is about to be read.
#[must_use = "end the call with `default`, `required` or `optional`"]
pub(super) struct Setting<'s, 'a, 't, K: Kind> {
    section: &'s Section<'a, 't>,
    name: &'static str,
    kind: K,
    doc: &'static str,
    range: Option<Bounds<K::Value>>,
}

struct Bounds<V> {
    low: (&'static str, V),
    high: (&'static str, V),
    within: fn(&V, &V, &V) -> bool,
}

impl<K: Kind> Setting<'_, '_, '_, K> {
    /// Both ends are allowed.
    pub(super) fn range(mut self, low: &'static str, high: &'static str) -> Self
    where
        K::Value: PartialOrd,
    {
        let (from, to) = (self.constant(low), self.constant(high));
        let within: fn(&K::Value, &K::Value, &K::Value) -> bool =
            |low, value, high| low <= value && value <= high;
        self.range = Some(Bounds { low: (low, from), high: (high, to), within });
        self
    }

    /// The text is what a variable would hold.
    pub(super) fn default(self, text: &'static str) -> K::Value {
        self.describe(Node::from_text(text, &Origin::Nowhere).literal());
        self.value().unwrap_or_else(|| self.constant(text))
    }

    /// None was reported.
    pub(super) fn required(self) -> Option<K::Value> {
        self.describe("required".to_owned());
        self.section.missing(self.name, format!("add `{} = …`: {}", self.name, self.kind.name()));
        self.value()
    }

    /// `unset` says what holds where it is not set.
    pub(super) fn optional(self, unset: &str) -> Option<K::Value> {
        self.describe(unset.to_owned());
        self.value()
    }

    fn value(&self) -> Option<K::Value> {
        let node = &self.section.entry(self.name)?.node;
        let value = self.read(node)?;
        match &self.range {
            Some(Bounds { low, high, within }) if !within(&low.1, &value, &high.1) => {
                let help = format!("write a value from {} to {}", low.0, high.0);
                self.at(node).wrong(Fault::new("out of range", help))
            }
            _ => Some(value),
        }
    }

    fn at<'x>(&'x self, node: &'x Node) -> At<'x, 'x> {
        let Section { reader, .. } = self.section;
        At { reader, node, path: self.section.path_of(self.name), key: self.name }
    }

    fn read(&self, node: &Node) -> Option<K::Value> {
        self.kind.read(&self.at(node))
    }

    fn constant(&self, text: &str) -> K::Value {
        let node = Node::from_text(text, &Origin::Nowhere);
        self.read(&node).expect("the test of the reference page reads every default and bound")
    }

    fn describe(&self, unset: String) {
        let mut kind = self.kind.name();
        if let Some(Bounds { low, high, .. }) = &self.range {
            kind.push_str(&format!(", `{}` to `{}`", low.0, high.0));
        }
        self.section.describe(Row { key: self.name, kind, unset, doc: self.doc });
    }
}
