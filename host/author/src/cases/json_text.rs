//! JSON as lines for people: laid out in lines, with every number and text as it stands.
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// Lists and tables in each other that are laid out; what is deeper stays as it is.
const DEPTH: usize = 100;
/// Characters of a list or table that may stand in one line.
const LINE: usize = 60;

/// How the members of a table are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As they stand.
    Kept,
    /// By name, so that order does not count in a comparison.
    Sorted,
}

/// The text laid out, one member or element a line, without a newline at its
/// end. None where it is not JSON.
pub(super) fn lay_out(text: &str, order: Order) -> Option<String> {
    let raw: &RawValue = serde_json::from_str(text).ok()?;
    let mut out = String::new();
    write(raw, order, 0, &mut out);
    Some(out)
}

/// A table's members in their order, each as it stands. Of two of one name both are kept.
struct Members<'t>(Vec<(String, &'t RawValue)>);

impl<'de: 't, 't> Deserialize<'de> for Members<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(Collect).map(Self)
    }
}

fn write(raw: &RawValue, order: Order, depth: usize, out: &mut String) {
    let text = raw.get();
    let begin = out.len();
    match text.as_bytes().first() {
        Some(b'{') if depth < DEPTH => {
            if let Ok(Members(mut members)) = serde_json::from_str::<Members<'_>>(text) {
                if order == Order::Sorted {
                    members.sort_by(|one, other| one.0.cmp(&other.0));
                }
                let lines = members.into_iter().map(|(name, value)| (Some(name), value));
                return block(lines, ["{", "}"], order, depth, out);
            }
        }
        Some(b'[') if depth < DEPTH => {
            if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
                let lines = items.into_iter().map(|value| (None, value));
                return block(lines, ["[", "]"], order, depth, out);
            }
        }
        // One text has many spellings.
        Some(b'"') => {
            if let Ok(text) = serde_json::from_str::<String>(text) {
                out.push_str(&serde_json::Value::from(text).to_string());
                return;
            }
        }
        _ => {}
    }
    out.truncate(begin);
    out.push_str(text);
}

fn block<'t>(
    lines: impl ExactSizeIterator<Item = (Option<String>, &'t RawValue)>,
    brackets: [&str; 2],
    order: Order,
    depth: usize,
    out: &mut String,
) {
    let [open, close] = brackets;
    if lines.len() == 0 {
        out.push_str(open);
        return out.push_str(close);
    }
    let parts: Vec<String> = lines
        .map(|(name, value)| {
            let mut part = name
                .map_or_else(String::new, |name| format!("{}: ", serde_json::Value::from(name)));
            write(value, order, depth + 1, &mut part);
            part
        })
        .collect();
    let flat: usize = parts.iter().map(|part| part.len() + 2).sum();
    let small = flat <= LINE && parts.iter().all(|part| !part.contains(['\n', '{']));
    if small && open == "[" {
        return out.push_str(&format!("{open}{}{close}", parts.join(", ")));
    }
    let (inner, outer) = ("  ".repeat(depth + 1), "  ".repeat(depth));
    let joined = parts.join(&format!(",\n{inner}"));
    out.push_str(&format!("{open}\n{inner}{joined}\n{outer}{close}"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_order_stay_and_lines_are_readable() {
        let text = r#"{"b":1.50,"a":[12345678901234567890,{"x":null}],"c":{},"d":[1,2]}"#;
        let laid = lay_out(text, Order::Kept).unwrap();
        let expected = "{\n  \"b\": 1.50,\n  \"a\": [\n    12345678901234567890,\n    {\n      \"x\": null\n    }\n  ],\n  \"c\": {},\n  \"d\": [1, 2]\n}";
        assert_eq!(laid, expected);
    }

    #[test]
    fn order_space_and_spelling_do_not_count_where_they_are_compared() {
        let same = |one, other| lay_out(one, Order::Sorted) == lay_out(other, Order::Sorted);
        assert!(same(r#"{"a":"\u00e9","b":2}"#, "{ \"b\": 2,\n\"a\": \"é\" }"));
        assert!(!same(r#"{"a":1.0}"#, r#"{"a":1}"#));
        assert!(!same(r#"[1,2]"#, r#"[2,1]"#));
        assert_eq!(lay_out("{", Order::Kept), None);
    }

    #[test]
    fn what_is_nested_without_end_is_laid_out_to_a_depth() {
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert!(lay_out(&deep, Order::Sorted).is_some());
    }

    proptest! {
        #[test]
        fn the_layout_means_the_same(text in "[\\[\\]{},:\"a1 .\\\\]{0,30}") {
            if let Some(laid) = lay_out(&text, Order::Kept) {
                let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
                prop_assert_eq!(read(&text), read(&laid));
                prop_assert_eq!(lay_out(&laid, Order::Kept), Some(laid.clone()));
            }
        }
    }
}
