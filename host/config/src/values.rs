//! Every setting as written and what its reference led to, as digests: what tells two readings apart.
//!
//! Digests, because the values of secrets have to be compared too, and nobody
//! is to be able to print them.
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest as _, Sha256};

use super::tree::{Node, Origin, Table, Value};
use super::unit::quote;

type Print = [u8; 32];

/// Keys as paths (`destinations.ci.url`).
#[derive(Debug, Default)]
pub(super) struct Values {
    /// Where each key stands.
    places: BTreeMap<String, Origin>,
    /// The values in the tree; of a table only that it is there.
    written: BTreeMap<String, Print>,
    /// What secrets and files held.
    contents: BTreeMap<String, Print>,
}

impl Values {
    pub(super) fn new(tree: &Table, contents: BTreeMap<String, Print>) -> Self {
        let mut values = Self { contents, ..Self::default() };
        values.walk("", tree);
        values
    }

    fn walk(&mut self, above: &str, table: &Table) {
        for (key, entry) in table {
            let name = quote(key);
            let name = name.trim_matches('`');
            let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
            self.places.insert(path.clone(), entry.key.clone());
            let mut hash = Sha256::new();
            match &entry.node.value {
                Value::Table(inner) => {
                    hash.update("table");
                    self.walk(&path, inner);
                }
                _ => feed(&mut hash, &entry.node),
            }
            self.written.insert(path, hash.finalize().into());
        }
    }

    pub(super) fn place(&self, key: &str) -> Option<&Origin> {
        self.places.get(key)
    }

    /// What differs, a table that one of both lacks as a whole. In the order of the keys.
    pub(super) fn changes(&self, new: &Self) -> Vec<Changed> {
        let written = differences(&self.written, &new.written);
        let mut all: BTreeMap<String, bool> = differences(&self.contents, &new.contents)
            .into_iter()
            .map(|key| (key, false))
            .collect();
        all.extend(written.into_iter().map(|key| (key, true)));
        let mut whole: Vec<Changed> = Vec::new();
        for (key, text) in all {
            let is_within = |outer: &Changed| {
                key.strip_prefix(outer.key.as_str())
                    .is_some_and(|rest| rest.starts_with(['.', '[']))
            };
            if !whole.last().is_some_and(is_within) {
                whole.push(Changed { key, text });
            }
        }
        whole
    }
}

/// A setting that differs between two readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// `destinations.ci.url`.
    pub key: String,
    /// Its text does; else only what its secret or file holds.
    pub text: bool,
}

fn differences(old: &BTreeMap<String, Print>, new: &BTreeMap<String, Print>) -> BTreeSet<String> {
    let all = old.keys().chain(new.keys());
    all.filter(|key| old.get(*key) != new.get(*key)).cloned().collect()
}

/// Of the contents of a secret or a file.
pub(super) fn print(bytes: &[u8]) -> Print {
    Sha256::digest(bytes).into()
}

fn feed(hash: &mut Sha256, node: &Node) {
    let mut put = |kind: u8, text: &[u8]| {
        hash.update([kind]);
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    match &node.value {
        Value::Text(text) => put(1, text.as_bytes()),
        Value::Integer(number) => put(2, &number.to_le_bytes()),
        Value::TooLarge => put(3, &[]),
        Value::Number(number) => put(4, &number.to_bits().to_le_bytes()),
        Value::Flag(flag) => put(5, &[u8::from(*flag)]),
        Value::Date(text) => put(6, text.as_bytes()),
        Value::List(items) => {
            put(7, &(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| feed(hash, item));
        }
        Value::Table(table) => {
            put(8, &(table.len() as u64).to_le_bytes());
            for (key, entry) in table {
                hash.update((key.len() as u64).to_le_bytes());
                hash.update(key);
                feed(hash, &entry.node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Sources};
    use super::Changed;

    fn read(text: &str, secret: &str) -> Config {
        let secret = secret.to_owned();
        let mut sources = Sources::none();
        sources.read = Box::new(move |_| Ok(secret.clone().into_bytes()));
        Config::parse("hookwright.toml".as_ref(), text.as_bytes(), &sources).unwrap()
    }

    /// A secret's text is the same when its file is another, and what is printed
    /// of it is redacted: neither may hide that it changed.
    #[test]
    fn regression_a_secret_that_holds_something_else_is_a_change() {
        let text = "[traces]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\n\
                    headers = { x-key = \"file:key\", x-plain = \"a\" }\n";
        let old = read(text, "one");
        assert_eq!(old.written.changes(&read(text, "one").written), []);
        let changed = |key: &str, text| vec![Changed { key: key.to_owned(), text }];
        let new = read(text, "two");
        assert_eq!(old.written.changes(&new.written), changed("traces.headers.x-key", false));
        let plain = text.replace("\"a\"", "\"b\"");
        assert_eq!(
            old.written.changes(&read(&plain, "one").written),
            changed("traces.headers.x-plain", true)
        );
    }

    #[test]
    fn a_table_that_comes_or_goes_is_one_change() {
        let old = read("[destinations.ci]\nurl = \"http://ci.example.com\"\nrate = \"5/s\"\n", "");
        let new = read("[destinations.ci2]\nurl = \"http://ci.example.com\"\nrate = \"5/s\"\n", "");
        let keys: Vec<_> =
            old.written.changes(&new.written).into_iter().map(|one| one.key).collect();
        assert_eq!(keys, ["destinations.ci", "destinations.ci2"]);
    }
}
