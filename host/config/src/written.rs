//! Where the settings of plugins were written, for the mistakes that only a plugin itself can find.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::mistake::Mistake;
use super::place::Pages;
use super::tree::{Entry, Origin, Table, Value};
use super::values::{Changed, Values};
use hookwright_model::Name;

/// The plugins' part of the settings, with its places, and digests of the rest.
/// Holds no secret: of all that an excerpt must not show, only the length is left.
#[derive(Clone, Default)]
pub struct Written(Arc<Inner>);

#[derive(Default)]
struct Inner {
    file: String,
    text: String,
    masked: Vec<Range<usize>>,
    plugins: BTreeMap<String, Entry>,
    values: Values,
}

impl Written {
    /// `masked` are the values that are not to be shown.
    pub(super) fn new(pages: Pages<'_>, tree: &Table, values: Values) -> Self {
        let mut plugins = BTreeMap::new();
        if let Some(Value::Table(all)) = tree.get("plugins").map(|entry| &entry.node.value) {
            plugins = all.clone();
        }
        let text = blank(pages.text, &pages.masked);
        Self(Arc::new(Inner { file: pages.file, text, masked: pages.masked, plugins, values }))
    }

    /// A mistake in a setting, by its key (`destinations.ci.ca`), that only whoever
    /// uses it can find.
    pub fn mistake_at(&self, key: &str, message: String, help: String) -> Mistake {
        let mut at = key;
        let origin = loop {
            if let Some(origin) = self.0.values.place(at) {
                break origin.clone();
            }
            let Some((above, _)) = at.rsplit_once('.') else { break Origin::Nowhere };
            at = above;
        };
        self.mistake(&origin, key.to_owned(), message, help)
    }

    /// The keys whose values differ in the newer settings, those of secrets
    /// and files that hold something else now among them.
    pub fn changes(&self, new: &Self) -> Vec<Changed> {
        self.0.values.changes(&new.0.values)
    }

    /// A mistake in `[plugins.NAME] config`, at a JSON pointer into it. Points
    /// as deep as what is written there goes.
    pub fn config_mistake(
        &self,
        plugin: &Name,
        pointer: &str,
        message: String,
        help: String,
    ) -> Mistake {
        let mut key = format!("plugins.{plugin}.config");
        let config = self.0.plugins.get(plugin.as_str()).and_then(|entry| below(entry, "config"));
        let mut at = config;
        for segment in pointer.split('/').skip(1) {
            let segment = segment.replace("~1", "/").replace("~0", "~");
            match at.map(|at| at.value) {
                Some(Value::List(_)) => key.push_str(&format!("[{segment}]")),
                _ => key.push_str(&format!(".{segment}")),
            }
            at = at.and_then(|at| at.step(&segment).or(Some(at.end())));
        }
        let origin = at.map_or_else(|| self.table(plugin), |at| at.origin.clone());
        self.mistake(&origin, key, message, help)
    }

    /// A mistake of the plugin as a whole, or of its file.
    pub fn plugin_mistake(&self, plugin: &Name, message: String, help: String) -> Mistake {
        let entry = self.0.plugins.get(plugin.as_str());
        let file = entry.and_then(|entry| below(entry, "file"));
        let origin = file.map_or_else(|| self.table(plugin), |at| at.origin.clone());
        self.mistake(&origin, format!("plugins.{plugin}"), message, help)
    }

    fn table(&self, plugin: &Name) -> Origin {
        self.0.plugins.get(plugin.as_str()).map_or(Origin::Nowhere, |entry| entry.key.clone())
    }

    fn mistake(&self, origin: &Origin, key: String, message: String, help: String) -> Mistake {
        let Inner { file, text, masked, .. } = &*self.0;
        let pages = Pages { file: file.clone(), text, masked: masked.clone() };
        Mistake { place: pages.place(origin), key, message, help }
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Written").field(&self.0.file).finish()
    }
}

/// A place on the way down, with what is written there.
#[derive(Clone, Copy)]
struct At<'w> {
    /// Of the key, or of an item of a list.
    origin: &'w Origin,
    value: &'w Value,
}

impl<'w> At<'w> {
    fn step(self, segment: &str) -> Option<At<'w>> {
        match self.value {
            Value::Table(table) => {
                let entry = table.get(segment)?;
                Some(At { origin: &entry.key, value: &entry.node.value })
            }
            Value::List(items) => {
                let node = items.get(segment.parse::<usize>().ok()?)?;
                Some(At { origin: &node.origin, value: &node.value })
            }
            _ => None,
        }
    }

    /// The same place for all that would be further down.
    fn end(self) -> At<'w> {
        At { origin: self.origin, value: &Value::TooLarge }
    }
}

fn below<'w>(entry: &'w Entry, key: &str) -> Option<At<'w>> {
    At { origin: &entry.key, value: &entry.node.value }.step(key)
}

/// The text with each character of the masked values replaced by another one of
/// its length, so that every place stays where it is.
fn blank(text: &str, masked: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        let after = masked.partition_point(|mask| mask.end <= at);
        let hidden = masked.get(after).is_some_and(|mask| mask.start <= at);
        let shown: Cow<'static, str> = match (hidden, char) {
            (false, char) | (true, char @ ('\n' | '\r')) => char.to_string().into(),
            (true, char) => match char.len_utf8() {
                1 => " ".into(),
                2 => "\u{b7}".into(),
                3 => "\u{2026}".into(),
                _ => "\u{1f512}".into(),
            },
        };
        out.push_str(&shown);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    const TEXT: &str = "\
[plugins.filter]
config = { keep = [{ feild = \"kind\" }], drop = 1 }
file = \"f.wasm\"
[plugins.bare]
";

    fn written(text: &str, masked: Vec<Range<usize>>) -> Written {
        let tree = tree::parse(text).expect("TOML");
        Written::new(Pages { file: "h.toml".into(), text, masked }, &tree, Values::default())
    }

    fn at(written: &Written, plugin: &str, pointer: &str) -> String {
        let plugin = plugin.parse().expect("a name");
        let made = written.config_mistake(&plugin, pointer, "bad".into(), String::new());
        format!("{}: {}", made.place, made.key)
    }

    #[test]
    fn a_pointer_becomes_a_key_with_its_line_and_column() {
        let written = written(TEXT, Vec::new());
        let at = |pointer| at(&written, "filter", pointer);
        assert_eq!(at(""), "h.toml:2:1: plugins.filter.config");
        assert_eq!(at("/keep/0/feild"), "h.toml:2:22: plugins.filter.config.keep[0].feild");
        assert_eq!(at("/keep/0"), "h.toml:2:20: plugins.filter.config.keep[0]");
        assert_eq!(at("/drop/x/y"), "h.toml:2:41: plugins.filter.config.drop.x.y");
        assert_eq!(at("/none"), "h.toml:2:1: plugins.filter.config.none");
    }

    #[test]
    fn what_is_not_written_is_placed_at_its_table() {
        let written = written(TEXT, Vec::new());
        assert_eq!(at(&written, "bare", "/keep"), "h.toml:4:10: plugins.bare.config.keep");
        assert_eq!(at(&written, "gone", ""), "h.toml: plugins.gone.config");
        let file = |plugin: &str| {
            let plugin = plugin.parse().expect("a name");
            written.plugin_mistake(&plugin, String::new(), String::new()).place.to_string()
        };
        assert_eq!((file("filter").as_str(), file("bare").as_str()), ("h.toml:3:1", "h.toml:4:10"));
    }

    #[test]
    fn nothing_masked_is_kept() {
        let text = "k = \"geh\u{e9}im\u{20ac}\u{1f600}\" # open\n[plugins.p]\n";
        let end = text.find(" #").expect("there");
        let written = written(text, std::iter::once(4..end).collect());
        assert_eq!(written.0.text.len(), text.len());
        assert!(written.0.text.ends_with(" # open\n[plugins.p]\n"));
        assert!(!written.0.text.contains("geh") && !format!("{written:?}").contains("open"));
    }
}
