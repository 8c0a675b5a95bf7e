//! Walks the tree, table by table, and collects what is found wrong or, where
//! the reference page is being made, what there is to set.
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Sources;
use super::mistake::{Mistake, Mistakes};
use super::place::Pages;
use super::reference::{Page, Row};
use super::tree::{Entry, Node, Origin, Table, Value};
use super::unit::{Fault, quote};
use super::values::{self, Values};
use super::written::Written;
use hookwright_model::{Name, listed, nearest};

/// One reading of one tree: where everything that is found is collected.
pub(super) struct Reader<'t> {
    pub(super) sources: &'t Sources,
    /// The directory that relative paths start from.
    pub(super) base: &'t Path,
    found: RefCell<Found>,
    page: Option<RefCell<Page>>,
}

#[derive(Default)]
struct Found {
    mistakes: Vec<(Origin, String, Fault)>,
    warnings: Vec<(Origin, String, Fault)>,
    /// Where those values start that an excerpt may show. All others are masked.
    public: BTreeSet<usize>,
    /// What secrets and files held, by their keys.
    contents: BTreeMap<String, [u8; 32]>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(sources: &'t Sources, base: &'t Path) -> Self {
        Self { sources, base, found: RefCell::default(), page: None }
    }

    /// Reads nothing and describes everything.
    pub(super) fn describing(sources: &'t Sources) -> Self {
        Self { page: Some(RefCell::default()), ..Self::new(sources, Path::new("")) }
    }

    pub(super) fn mistake(&self, origin: &Origin, key: &str, fault: Fault) {
        self.found.borrow_mut().mistakes.push((origin.clone(), key.to_owned(), fault));
    }

    pub(super) fn warning(&self, origin: &Origin, key: &str, fault: Fault) {
        self.found.borrow_mut().warnings.push((origin.clone(), key.to_owned(), fault));
    }

    pub(super) fn into_page(self) -> Page {
        self.page.map(RefCell::into_inner).unwrap_or_default()
    }

    /// Mistakes and warnings, placed in the file, and the places of what plugins are set to.
    pub(super) fn finish(
        self,
        file: &str,
        text: &str,
        tree: &Table,
    ) -> (Mistakes, Mistakes, Written) {
        let found = self.found.into_inner();
        let mut masked = Vec::new();
        tree.values().for_each(|entry| entry.node.leaves(&mut masked));
        masked.retain(|span| !found.public.contains(&span.start));
        masked.sort_by_key(|span| span.start);
        let pages = Pages { file: file.to_owned(), text, masked };
        let place = |(origin, key, fault): (Origin, String, Fault)| Mistake {
            place: pages.place(&origin),
            key,
            message: fault.message,
            help: fault.help,
        };
        let placed = |all: Vec<_>| Mistakes::new(all.into_iter().map(place).collect());
        let (mistakes, warnings) = (placed(found.mistakes), placed(found.warnings));
        let values = Values::new(tree, found.contents);
        (mistakes, warnings, Written::new(pages, tree, values))
    }
}

/// A value that is being read.
#[derive(Clone)]
pub(super) struct At<'a, 't> {
    pub(super) reader: &'a Reader<'t>,
    pub(super) node: &'a Node,
    /// `sources.github.secrets[0]`.
    pub(super) path: String,
    /// The last key of the path.
    pub(super) key: &'a str,
}

impl At<'_, '_> {
    /// Reports, and gives the none that a reader answers then.
    pub(super) fn wrong<T>(&self, fault: Fault) -> Option<T> {
        self.reader.mistake(&self.node.origin, &self.path, fault);
        None
    }

    /// What the value led to: two readings are told apart by it, too.
    pub(super) fn holds(&self, bytes: &[u8]) {
        let contents = &mut self.reader.found.borrow_mut().contents;
        contents.insert(self.path.clone(), values::print(bytes));
    }

    /// The value is no secret: excerpts may show it.
    pub(super) fn public(&self) {
        if let Origin::File(span) = &self.node.origin {
            self.reader.found.borrow_mut().public.insert(span.start);
        }
    }
}

/// One table of the settings.
pub(super) struct Section<'a, 't> {
    pub(super) reader: &'a Reader<'t>,
    path: String,
    /// None where it is not written at all.
    table: Option<&'a Table>,
    origin: Origin,
    /// Something else than a table stands here: that is said, and what is
    /// missing inside is not said on top.
    broken: bool,
    known: RefCell<Vec<&'static str>>,
}

impl<'a, 't> Section<'a, 't> {
    pub(super) fn root(reader: &'a Reader<'t>, table: &'a Table) -> Self {
        Self::new(reader, String::new(), Some(table), Origin::Nowhere)
    }

    fn new(reader: &'a Reader<'t>, path: String, table: Option<&'a Table>, origin: Origin) -> Self {
        Self { reader, path, table, origin, broken: false, known: RefCell::default() }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The last part of the path: the name of a source, for example.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    pub(super) fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.table.and_then(|table| table.get(key))
    }

    /// Where to point for a key: at its value, or at the table where it is missing.
    pub(super) fn origin_of(&self, key: &str) -> &Origin {
        self.entry(key).map_or(&self.origin, |entry| &entry.node.origin)
    }

    pub(super) fn wrong(&self, key: &str, fault: Fault) {
        self.reader.mistake(self.origin_of(key), &self.path_of(key), fault);
    }

    pub(super) fn missing(&self, key: &str, help: impl Into<String>) {
        if !self.broken && self.entry(key).is_none() {
            self.wrong(key, Fault::new("missing, and required", help));
        }
    }

    pub(super) fn warn(&self, key: &str, fault: Fault) {
        self.reader.warning(self.origin_of(key), &self.path_of(key), fault);
    }

    /// Takes note of a setting, for the reference page and against unknown keys.
    pub(super) fn describe(&self, row: Row) {
        self.known.borrow_mut().push(row.key);
        if let Some(page) = &self.reader.page {
            page.borrow_mut().row(&self.path, row);
        }
    }

    /// A table that is read with its defaults where it is not written.
    pub(super) fn section<T>(
        &self,
        name: &'static str,
        doc: &'static str,
        read: impl FnOnce(&Section<'_, 't>) -> T,
    ) -> T {
        let inner = self.open(name, doc);
        let value = read(&inner);
        inner.close();
        value
    }

    /// A table that need not be there.
    pub(super) fn optional_section<T>(
        &self,
        name: &'static str,
        doc: &'static str,
        read: impl FnOnce(&Section<'_, 't>) -> Option<T>,
    ) -> Option<T> {
        if self.entry(name).is_some() || self.reader.page.is_some() {
            return self.section(name, doc, read);
        }
        self.known.borrow_mut().push(name);
        None
    }

    fn open(&self, name: &'static str, doc: &'static str) -> Section<'a, 't> {
        self.known.borrow_mut().push(name);
        let path = self.path_of(name);
        self.describe_section(&path, doc);
        match self.entry(name) {
            Some(entry) => self.inside(path, entry),
            None => Section::new(self.reader, path, None, self.origin.clone()),
        }
    }

    fn inside(&self, path: String, entry: &'a Entry) -> Section<'a, 't> {
        if let Value::Table(table) = &entry.node.value {
            return Section::new(self.reader, path, Some(table), entry.key.clone());
        }
        let message = format!("expected a table, found {}", entry.node.value.what());
        let help = format!("write `[{path}]`, and its keys below");
        self.reader.mistake(&entry.node.origin, &path, Fault::new(message, help));
        let broken = Section::new(self.reader, path, None, entry.node.origin.clone());
        Section { broken: true, ..broken }
    }

    /// Tables by name, `[sources.NAME]`. Those with a mistake are left out.
    pub(super) fn named<T>(
        &self,
        name: &'static str,
        doc: &'static str,
        mut read: impl FnMut(&Section<'_, 't>) -> Option<T>,
    ) -> BTreeMap<Name, T> {
        self.known.borrow_mut().push(name);
        if self.reader.page.is_some() {
            let path = format!("{}.NAME", self.path_of(name));
            self.describe_section(&path, doc);
            read(&Section::new(self.reader, path, None, Origin::Nowhere));
        }
        let mut all = BTreeMap::new();
        let Some(entry) = self.entry(name) else { return all };
        let outer = self.inside(self.path_of(name), entry);
        for (key, entry) in outer.table.into_iter().flatten() {
            let path = outer.path_of(&plain(key));
            let parsed = key.parse::<Name>();
            if parsed.is_err() {
                let help = "use 1 to 64 of a-z, 0-9, `-` and `_`, first a letter or a digit";
                let fault = Fault::new(format!("{} is no name", quote(key)), help);
                self.reader.mistake(&entry.key, &path, fault);
            }
            let inner = outer.inside(path, entry);
            let value = read(&inner);
            inner.close();
            if let (Ok(name), Some(value)) = (parsed, value) {
                all.insert(name, value);
            }
        }
        all
    }

    /// The names that stand in a table of tables, right or wrong inside.
    pub(super) fn names(&self, name: &str) -> Vec<&'a str> {
        match self.entry(name).map(|entry| &entry.node.value) {
            Some(Value::Table(table)) => table.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Reports the keys that were read but mean nothing together with `with`.
    pub(super) fn only(&self, allowed: &[&str], with: &str) {
        for (key, entry) in self.table.into_iter().flatten() {
            let known = self.known.borrow().contains(&key.as_str());
            if known && !allowed.contains(&key.as_str()) {
                let message = format!("has no meaning with {with}");
                let fault = Fault::new(message, "remove it");
                self.reader.mistake(&entry.key, &self.path_of(key), fault);
            }
        }
    }

    /// Reports the keys that nothing read.
    pub(super) fn close(&self) {
        let known = self.known.borrow();
        for (key, entry) in self.table.into_iter().flatten() {
            if known.contains(&key.as_str()) {
                continue;
            }
            let help = match nearest(key, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("remove it; known here are {}", listed(&known)),
            };
            let path = self.path_of(&plain(key));
            self.reader.mistake(&entry.key, &path, Fault::new("unknown key", help));
        }
    }

    fn describe_section(&self, path: &str, doc: &'static str) {
        if let Some(page) = &self.reader.page {
            page.borrow_mut().section(path, doc);
        }
    }
}

/// A key from outside as part of a path: escaped and cut.
fn plain(key: &str) -> String {
    quote(key).trim_matches('`').to_owned()
}
