//! Edits to JSON text that leave every byte outside them as it came.
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Serialize;

use super::document::{Document, Kind, Node};

/// Collects edits and makes the new text. Only the edited values change; with
/// a removed one goes the comma that parted it from its neighbour.
#[derive(Debug)]
pub struct Editor<'d> {
    document: &'d Document<'d>,
    /// By the value's index; none removes it.
    edits: BTreeMap<usize, Option<String>>,
}

/// A range of the old text and what stands there in the new one.
type Cut<'e> = (Range<usize>, &'e str);

impl<'d> Editor<'d> {
    pub(super) fn new(document: &'d Document<'d>) -> Self {
        Self { document, edits: BTreeMap::new() }
    }

    /// Takes the value out: the member with its name, or the element. The whole
    /// document can't go: it becomes `null`.
    pub fn remove(&mut self, node: Node<'d>) {
        self.edits.insert(node.index, None);
    }

    /// Puts another value in its place.
    ///
    /// # Errors
    /// When the value can't be written as JSON.
    pub fn replace(
        &mut self,
        node: Node<'d>,
        value: &(impl Serialize + ?Sized),
    ) -> crate::Result<()> {
        self.edits.insert(node.index, Some(serde_json::to_string(value)?));
        Ok(())
    }

    /// Whether there is no edit yet.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The new text, or none where nothing changes. An edit inside a value that
    /// is removed or replaced as a whole does not count.
    pub fn finish(self) -> Option<String> {
        let mut cuts = Vec::new();
        self.cut(0, &mut cuts);
        let old = self.document.text;
        if cuts.iter().all(|(range, new)| &old[range.clone()] == *new) {
            return None;
        }
        let mut text = String::with_capacity(old.len());
        let mut from = 0;
        for (range, new) in cuts {
            text.push_str(&old[from..range.start]);
            text.push_str(new);
            from = range.end;
        }
        text.push_str(&old[from..]);
        Some(text)
    }

    fn cut<'e>(&'e self, index: usize, cuts: &mut Vec<Cut<'e>>) {
        let span = &self.document.spans[index];
        if let Some(edit) = self.edits.get(&index) {
            let new = edit.as_deref().unwrap_or("null");
            return cuts.push((span.start..span.end, new));
        }
        if self.edits.range(index..span.after).next().is_none() {
            return;
        }
        let parts = self.parts(index);
        let mut kept = false;
        for (place, part) in parts.iter().enumerate() {
            if !matches!(self.edits.get(&part.value), Some(None)) {
                kept = true;
                self.cut(part.value, cuts);
            } else if kept {
                // With the comma before it.
                cuts.push((parts[place - 1].end..part.end, ""));
            } else {
                // Nothing is left before it: with the comma behind it, if any.
                let end = parts.get(place + 1).map_or(part.end, |next| next.start);
                cuts.push((part.start..end, ""));
            }
        }
    }

    /// The elements, or the members with their names.
    fn parts(&self, index: usize) -> Vec<Part> {
        let spans = &self.document.spans;
        let (mut parts, mut at) = (Vec::new(), index + 1);
        while at < spans[index].after {
            let value = if spans[index].kind == Kind::Object { at + 1 } else { at };
            parts.push(Part { value, start: spans[at].start, end: spans[value].end });
            at = spans[value].after;
        }
        parts
    }
}

struct Part {
    value: usize,
    start: usize,
    end: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const TEXT: &str = "{ \"a\" : 1.50 ,\n \"b\":[ 1,2 , 3 ], \"a\":{\"c\":\"d\"} }\n";

    fn removed(text: &str, pattern: &str) -> Option<String> {
        let document = Document::parse(text).unwrap();
        let mut edit = document.edit();
        document.all(&pattern.parse().unwrap()).into_iter().for_each(|node| edit.remove(node));
        edit.finish()
    }

    #[test]
    fn removing_takes_one_comma_along() {
        let gone = |pattern| removed(TEXT, pattern).unwrap();
        assert_eq!(gone("/b"), "{ \"a\" : 1.50 , \"a\":{\"c\":\"d\"} }\n".replace(" ,", ","));
        assert_eq!(gone("/a"), "{ \"b\":[ 1,2 , 3 ] }\n");
        assert_eq!(gone("/*"), "{  }\n");
        assert_eq!(gone("/b/0"), TEXT.replace("1,2 , 3", "2 , 3"));
        assert_eq!(gone("/b/1"), TEXT.replace("1,2 , 3", "1 , 3"));
        assert_eq!(gone("/b/*"), TEXT.replace("1,2 , 3", ""));
        assert_eq!(gone("/a/c"), TEXT.replace("\"c\":\"d\"", ""));
        assert_eq!(gone(""), "null\n");
        assert_eq!(removed(TEXT, "/x"), None);
    }

    /// The fault: a body that some senders on Windows begin so was no JSON for a plugin.
    #[test]
    fn regression_a_byte_order_mark_in_front_is_skipped_and_kept() {
        let text = format!("\u{feff}{TEXT}");
        assert_eq!(removed(&text, "/b/0").unwrap(), text.replace("1,2 , 3", "2 , 3"));
        assert!(Document::parse("\u{feff}\u{feff}1").is_err(), "a second one is no space");
    }

    #[test]
    fn the_outer_edit_wins_and_no_change_is_none() {
        let document = Document::parse(TEXT).unwrap();
        let (b, first) =
            (document.at(&"/b".parse().unwrap()), document.at(&"/b/0".parse().unwrap()));
        let mut edit = document.edit();
        edit.replace(first.unwrap(), &9).unwrap();
        edit.replace(b.unwrap(), "x").unwrap();
        assert_eq!(edit.finish().unwrap(), TEXT.replace("[ 1,2 , 3 ]", "\"x\""));
        let mut same = document.edit();
        same.replace(first.unwrap(), &1).unwrap();
        assert_eq!(same.finish(), None);
    }

    /// What the pattern's removal should leave, by value.
    fn model(value: &mut Value, pick: &mut impl FnMut() -> bool) {
        match value {
            Value::Array(items) => {
                items.retain(|_| !pick());
                items.iter_mut().for_each(|item| model(item, pick));
            }
            Value::Object(members) => {
                members.retain(|_, _| !pick());
                members.values_mut().for_each(|member| model(member, pick));
            }
            _ => {}
        }
    }

    fn mark<'d>(node: Node<'d>, edit: &mut Editor<'d>, pick: &mut impl FnMut() -> bool) {
        let inside: Vec<_> = node.items().chain(node.members().map(|(_, value)| value)).collect();
        let picked: Vec<bool> = inside.iter().map(|_| pick()).collect();
        for (node, picked) in inside.into_iter().zip(picked) {
            if picked { edit.remove(node) } else { mark(node, edit, pick) }
        }
    }

    /// The raw texts of all scalars, in order.
    fn scalars(text: &str) -> Vec<String> {
        let document = Document::parse(text).unwrap();
        let mut found = Vec::new();
        document.root().walk(&mut |node| {
            if !matches!(node.kind(), Kind::Object | Kind::Array) {
                found.push(node.raw().to_owned());
            }
        });
        found
    }

    proptest! {
        #[test]
        fn removal_is_removal_and_the_result_is_json(value in crate::testing::json(), picks: Vec<bool>) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let document = Document::parse(&text).unwrap();
            let mut edit = document.edit();
            let mut choices = picks.iter().copied();
            mark(document.root(), &mut edit, &mut || choices.next().unwrap_or(false));
            let mut expected = value.clone();
            let mut choices = picks.iter().copied();
            model(&mut expected, &mut || choices.next().unwrap_or(false));
            let result = edit.finish().unwrap_or_else(|| text.clone());
            prop_assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), expected, "{}", result);
        }

        #[test]
        fn bytes_outside_the_edits_stay(value in crate::testing::json(), picks: Vec<bool>) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let document = Document::parse(&text).unwrap();
            let (mut edit, mut expected, mut from) = (document.edit(), String::new(), 0);
            let mut picks = picks.into_iter();
            document.root().walk(&mut |node| {
                if !matches!(node.kind(), Kind::Object | Kind::Array) && picks.next().unwrap_or(false) {
                    edit.replace(node, "new").unwrap();
                    let start = node.raw().as_ptr() as usize - text.as_ptr() as usize;
                    expected.push_str(&text[from..start]);
                    expected.push_str("\"new\"");
                    from = start + node.raw().len();
                }
            });
            expected.push_str(&text[from..]);
            let result = edit.finish().unwrap_or_else(|| text.clone());
            prop_assert_eq!(scalars(&result).len(), scalars(&text).len());
            prop_assert_eq!(result, expected);
        }
    }
}
