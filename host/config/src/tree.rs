//! The settings as a tree whose every node knows where it came from: a place in the file, or a variable.
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Levels of tables and lists in each other; settings have seven, a plugin's own a few more.
const MAX_DEPTH: usize = 64;

/// Where a key or a value was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Origin {
    /// Bytes in the file.
    File(Range<usize>),
    /// The name of an environment variable.
    Variable(Arc<str>),
    /// Nowhere: a default, or the file as a whole.
    Nowhere,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
    /// What a variable held, where it was read as something else than text.
    pub(super) raw: Option<Box<str>>,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    /// An integer beyond 64 bits.
    TooLarge,
    Number(f64),
    Flag(bool),
    /// A date or a time, as it was written.
    Date(String),
    List(Vec<Node>),
    Table(Table),
}

/// In the order of the keys.
pub(super) type Table = BTreeMap<String, Entry>;

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Origin,
    pub(super) node: Node,
}

impl Value {
    /// With its article, for messages.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) | Self::TooLarge => "a whole number",
            Self::Number(_) => "a number with a fraction",
            Self::Flag(_) => "true or false",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

impl Node {
    /// The text, where the value is one or a variable held one that looked like something else.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => self.raw.as_deref(),
        }
    }

    /// What a variable holds: a TOML value where it is one, else text.
    pub(super) fn from_text(text: &str, origin: &Origin) -> Self {
        let Ok(parsed) = DeValue::parse(text) else {
            return Self { value: Value::Text(text.to_owned()), origin: origin.clone(), raw: None };
        };
        let Some(parsed) = bounded(parsed.into_inner()) else {
            return Self { value: Value::Text(text.to_owned()), origin: origin.clone(), raw: None };
        };
        let mut node = node(&Spanned::new(0..text.len(), parsed));
        node.stamp(origin);
        if !matches!(node.value, Value::Text(_) | Value::List(_) | Value::Table(_)) {
            node.raw = Some(text.into());
        }
        node
    }

    fn stamp(&mut self, origin: &Origin) {
        self.origin = origin.clone();
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.stamp(origin)),
            Value::Table(table) => table.values_mut().for_each(|entry| {
                entry.key = origin.clone();
                entry.node.stamp(origin);
            }),
            _ => {}
        }
    }

    /// The places in the file of every value in the tree that is no list or table.
    pub(super) fn leaves(&self, out: &mut Vec<Range<usize>>) {
        match (&self.value, &self.origin) {
            (Value::List(items), _) => items.iter().for_each(|item| item.leaves(out)),
            (Value::Table(table), _) => table.values().for_each(|entry| entry.node.leaves(out)),
            (_, Origin::File(span)) => out.push(span.clone()),
            _ => {}
        }
    }
}

/// Parses the file, or says what the first mistake in its syntax is, and where.
pub(super) fn parse(text: &str) -> Result<Table, (String, Range<usize>)> {
    match DeTable::parse(text) {
        Ok(parsed) => {
            let span = parsed.span();
            match bounded(DeValue::Table(parsed.into_inner())) {
                Some(DeValue::Table(parsed)) => Ok(table(&parsed)),
                _ => Err((format!("nested deeper than {MAX_DEPTH} levels"), span)),
            }
        }
        Err(error) => Err((error.message().to_owned(), error.span().unwrap_or(0..0))),
    }
}

/// The value, unless it is nested too deeply to be walked or dropped by
/// recursion: inline tables times dotted keys go deeper than the parser's own
/// bounds.
fn bounded(value: DeValue<'_>) -> Option<DeValue<'_>> {
    fn below<'v, 'i>(value: &'v DeValue<'i>) -> Box<dyn Iterator<Item = &'v DeValue<'i>> + 'v> {
        match value {
            DeValue::Table(entries) => Box::new(entries.values().map(Spanned::get_ref)),
            DeValue::Array(items) => Box::new(items.iter().map(Spanned::get_ref)),
            _ => Box::new(std::iter::empty()),
        }
    }
    let mut ahead = vec![(&value, 0)];
    let mut deep = false;
    while let Some((value, depth)) = ahead.pop() {
        deep |= depth > MAX_DEPTH;
        ahead.extend(below(value).map(|inner| (inner, depth + 1)));
    }
    if !deep {
        return Some(value);
    }
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            DeValue::Table(entries) => {
                rest.extend(entries.into_iter().map(|(_, inner)| inner.into_inner()));
            }
            DeValue::Array(items) => rest.extend(items.into_iter().map(Spanned::into_inner)),
            _ => {}
        }
    }
    None
}

fn table(parsed: &DeTable<'_>) -> Table {
    let entry = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let entry = Entry { key: Origin::File(key.span()), node: node(value) };
        (key.get_ref().clone().into_owned(), entry)
    };
    parsed.iter().map(entry).collect()
}

fn node(parsed: &Spanned<DeValue<'_>>) -> Node {
    let value = match parsed.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(digits) => match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(integer) => Value::Integer(integer),
            Err(_) => Value::TooLarge,
        },
        DeValue::Float(digits) => Value::Number(digits.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(node).collect()),
        DeValue::Table(entries) => Value::Table(table(entries)),
    };
    Node { value, origin: Origin::File(parsed.span()), raw: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_places() {
        let text = "a = 1\n[b]\nc = [\"x\", 2.5]\n";
        let tree = parse(text).expect("TOML");
        let at = |origin: &Origin| match origin {
            Origin::File(span) => &text[span.clone()],
            _ => "",
        };
        assert_eq!(at(&tree["a"].key), "a");
        assert_eq!(at(&tree["a"].node.origin), "1");
        assert_eq!(at(&tree["b"].key), "b");
        let Value::Table(b) = &tree["b"].node.value else { panic!("a table") };
        let Value::List(items) = &b["c"].node.value else { panic!("a list") };
        assert_eq!(at(&items[0].origin), "\"x\"");
        assert_eq!(at(&items[1].origin), "2.5");
    }

    #[test]
    fn a_variable_is_a_toml_value_or_text() {
        let read = |text: &str| Node::from_text(text, &Origin::Nowhere);
        assert!(matches!(read("12").value, Value::Integer(12)));
        assert_eq!(read("12").text(), Some("12"));
        assert!(matches!(read("true").value, Value::Flag(true)));
        assert!(matches!(read("[\"a\", \"b\"]").value, Value::List(_)));
        assert_eq!(read("\"10s\"").text(), Some("10s"));
        for plain in ["10s", "127.0.0.1:8080", "env:TOKEN", "", "a b", "[", "https://a/b?c=1#d"] {
            assert_eq!(read(plain).text(), Some(plain));
        }
    }
}
