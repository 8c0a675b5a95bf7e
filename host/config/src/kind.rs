//! The kinds of settings: what each reads, and what it says of a value that it can't read.
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderName;

use super::reader::At;
use super::tree::Value;
use super::unit::{self, Fault, quote};
use hookwright_model::{Name, Rate, Share, listed, nearest};
use hookwright_settings::Pem;

pub(super) trait Kind {
    type Value;

    /// For the reference page.
    fn name(&self) -> String;

    /// None once what is wrong has been reported.
    fn read(&self, at: &At<'_, '_>) -> Option<Self::Value>;
}

/// A value that is written as text.
pub(super) struct Text<T> {
    pub(super) name: &'static str,
    /// As it stands in the file.
    pub(super) example: &'static str,
    /// What a bare number lacks; empty where a number is simply wrong.
    pub(super) unit: &'static str,
    pub(super) parse: fn(&str) -> Result<T, Fault>,
}

pub(super) const DURATION: Text<Duration> =
    Text { name: "duration", example: "\"10s\"", unit: "s", parse: unit::duration };

/// Bytes.
pub(super) const SIZE: Text<u64> =
    Text { name: "size", example: "\"1MiB\"", unit: "B", parse: unit::size };

pub(super) const RATE: Text<Rate> =
    Text { name: "rate", example: "\"50/s\"", unit: "/s", parse: unit::rate };

pub(super) const PERCENT: Text<u32> =
    Text { name: "percentage", example: "\"50%\"", unit: "%", parse: unit::percent };

pub(super) const ADDRESS: Text<SocketAddr> =
    Text { name: "address", example: "\"127.0.0.1:8080\"", unit: "", parse: address };

pub(super) const HEADER: Text<HeaderName> =
    Text { name: "header name", example: "\"x-signature\"", unit: "", parse: header };

impl<T> Kind for Text<T> {
    type Value = T;

    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<T> {
        at.public();
        let unitless = match &at.node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        if let (Some(number), false) = (unitless, self.unit.is_empty()) {
            let message = format!("`{} = {number}` has no unit", at.key);
            let help = format!("write `{} = \"{number}{}\"`", at.key, self.unit);
            return at.wrong(Fault::new(message, help));
        }
        let Some(text) = at.node.text() else { return mismatch(at, self.name, self.example) };
        (self.parse)(text).or_else(|fault| at.wrong(fault).ok_or(())).ok()
    }
}

/// Reports a value of the wrong type.
pub(super) fn mismatch<T>(at: &At<'_, '_>, expected: &str, example: &str) -> Option<T> {
    let message = format!("expected {expected}, found {}", at.node.value.what());
    at.wrong(Fault::new(message, format!("write `{} = {example}`", at.key)))
}

fn address(text: &str) -> Result<SocketAddr, Fault> {
    let help = match text.rsplit_once(':') {
        Some((host, port))
            if (host.is_empty() || host == "localhost") && port.parse::<u16>().is_ok() =>
        {
            format!("write `\"127.0.0.1:{port}\"`, or `\"0.0.0.0:{port}\"` for all interfaces")
        }
        _ => "write an IP address and a port, as in `\"127.0.0.1:8080\"`".to_owned(),
    };
    text.parse()
        .map_err(|_| Fault::new(format!("{} is no address to listen on", quote(text)), help))
}

pub(super) fn header(text: &str) -> Result<HeaderName, Fault> {
    let help = "use letters, digits and `-`, as in `x-signature`";
    text.parse().map_err(|_| Fault::new(format!("{} is no header name", quote(text)), help))
}

/// Where something is reached from outside, as it stands.
pub(super) const PUBLIC_URL: Text<String> =
    Text { name: "URL", example: "\"https://hooks.example.com\"", unit: "", parse: public_url };

fn public_url(text: &str) -> Result<String, Fault> {
    let help = "write it as `https://hooks.example.com`, without `?`, `#` or a space";
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let good = |rest: &str| !rest.is_empty() && !rest.starts_with('/');
    let plain = |char: char| char.is_ascii_graphic() && !matches!(char, '?' | '#' | '@');
    if rest.is_some_and(good) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(format!("{} is no public URL", quote(text)), help))
}

/// A part of all, finer than a whole percentage.
pub(super) struct Part;

impl Kind for Part {
    type Value = Share;

    fn name(&self) -> String {
        "percentage or number".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Share> {
        at.public();
        let share = match &at.node.value {
            // The shortest decimal that is this number: what was written.
            Value::Number(number) if number.fract() == 0.0 => unit::share(&format!("{number}.0")),
            Value::Number(number) => unit::share(&number.to_string()),
            Value::Integer(number) => {
                let message = format!("`{} = {number}` has no unit", at.key);
                Err(Fault::new(message, format!("write `{} = \"{number}%\"`", at.key)))
            }
            _ => {
                let Some(text) = at.node.text() else {
                    return mismatch(at, "a percentage", "\"0.1%\"");
                };
                unit::share(text)
            }
        };
        share.or_else(|fault| at.wrong(fault).ok_or(())).ok()
    }
}

/// A whole number that fits `T`.
pub(super) struct Whole<T>(PhantomData<T>);

pub(super) const fn whole<T>() -> Whole<T> {
    Whole(PhantomData)
}

impl<T: TryFrom<i64>> Kind for Whole<T> {
    type Value = T;

    fn name(&self) -> String {
        "whole number".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<T> {
        at.public();
        let fits = match &at.node.value {
            Value::Integer(number) => T::try_from(*number).ok(),
            Value::TooLarge => None,
            _ => return mismatch(at, "a whole number", "8"),
        };
        fits.or_else(|| at.wrong(Fault::new("out of range", "write a smaller, positive number")))
    }
}

/// A number with or without a fraction.
pub(super) struct Number;

impl Kind for Number {
    type Value = f64;

    fn name(&self) -> String {
        "number".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<f64> {
        at.public();
        match &at.node.value {
            Value::Integer(number) => Some(*number as f64),
            Value::Number(number) => Some(*number),
            _ => mismatch(at, "a number", "0.5"),
        }
    }
}

pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    fn name(&self) -> String {
        "true or false".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<bool> {
        at.public();
        match &at.node.value {
            Value::Flag(flag) => Some(*flag),
            _ => mismatch(at, "true or false", "true"),
        }
    }
}

/// More words than a message lists beside a better guess.
const MANY: usize = 12;

/// One of some words.
pub(super) struct Choice<T: 'static>(pub(super) &'static [(&'static str, T)]);

impl<T: Copy> Kind for Choice<T> {
    type Value = T;

    fn name(&self) -> String {
        let words: Vec<String> = self.0.iter().map(|(word, _)| format!("`\"{word}\"`")).collect();
        words.join(", ")
    }

    fn read(&self, at: &At<'_, '_>) -> Option<T> {
        at.public();
        let words: Vec<&str> = self.0.iter().map(|(word, _)| *word).collect();
        let Some(text) = at.node.text() else {
            return mismatch(at, &listed(&words), &format!("\"{}\"", words[0]));
        };
        if let Some((_, value)) = self.0.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let help = match nearest(text, words.iter().copied()) {
            Some(near) if words.len() > MANY => format!("did you mean `{near}`?"),
            Some(near) => format!("did you mean `{near}`? Known are {}", listed(&words)),
            None => format!("write one of {}", listed(&words)),
        };
        at.wrong(Fault::new(format!("{} is not known here", quote(text)), help))
    }
}

/// A list; no value may stand in it twice.
pub(super) struct List<K>(pub(super) K);

impl<K: Kind> Kind for List<K> {
    type Value = Vec<K::Value>;

    fn name(&self) -> String {
        format!("list of {}", self.0.name())
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Vec<K::Value>> {
        items(&self.0, at, false)
    }
}

/// A list in which a value may stand more than once.
pub(super) struct Sequence<K>(pub(super) K);

impl<K: Kind> Kind for Sequence<K> {
    type Value = Vec<K::Value>;

    fn name(&self) -> String {
        format!("list of {}", self.0.name())
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Vec<K::Value>> {
        items(&self.0, at, true)
    }
}

fn items<K: Kind>(kind: &K, at: &At<'_, '_>, repeats: bool) -> Option<Vec<K::Value>> {
    let Value::List(items) = &at.node.value else {
        return mismatch(at, "a list", "[\"…\", \"…\"]");
    };
    let mut values = Vec::with_capacity(items.len());
    let mut good = true;
    for (index, node) in items.iter().enumerate() {
        let item = At { node, path: format!("{}[{index}]", at.path), ..at.clone() };
        let value = kind.read(&item);
        good &= value.is_some();
        values.extend(value);
        let text = node.text().filter(|_| !repeats);
        if text.is_some() && items[..index].iter().any(|earlier| earlier.text() == text) {
            good = false;
            item.wrong::<()>(Fault::new("stands in the list twice", "remove one"));
        }
    }
    good.then_some(values)
}

/// The name of a plugin or destination that the settings define.
pub(super) struct Reference<'n> {
    /// `plugin`, `destination`.
    pub(super) what: &'static str,
    pub(super) names: &'n [&'n str],
}

impl Kind for Reference<'_> {
    type Value = Name;

    fn name(&self) -> String {
        format!("{} name", self.what)
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Name> {
        at.public();
        let Some(text) = at.node.text() else { return mismatch(at, "a name", "\"…\"") };
        if self.names.contains(&text) {
            // One that is no name is reported where it is defined.
            return text.parse().ok();
        }
        let help = match nearest(text, self.names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("define it as `[{}s.{}]`", self.what, quote(text).trim_matches('`')),
        };
        at.wrong(Fault::new(format!("there is no {} {}", self.what, quote(text)), help))
    }
}

/// A path; a relative one starts from the directory of the settings file.
pub(super) struct File {
    /// Whether the file must be there and readable when the settings are read.
    pub(super) checked: bool,
}

impl Kind for File {
    type Value = PathBuf;

    fn name(&self) -> String {
        "path".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<PathBuf> {
        at.public();
        let Some(text) = at.node.text() else { return mismatch(at, "a path", "\"…\"") };
        if text.is_empty() || text.contains('\0') {
            return at.wrong(Fault::new("is no path", "name a file or directory"));
        }
        let path = at.reader.base.join(text);
        if self.checked {
            contents(at, &path)?;
        }
        Some(path)
    }
}

/// What the file holds.
pub(super) fn contents(at: &At<'_, '_>, path: &Path) -> Option<Vec<u8>> {
    match (at.reader.sources.read)(path) {
        Ok(bytes) => {
            at.holds(&bytes);
            Some(bytes)
        }
        Err(error) => {
            let message = format!("{} can't be read: {error}", quote(&path.to_string_lossy()));
            at.wrong(Fault::new(message, "check the path and its permissions"))
        }
    }
}

/// A file in PEM, read together with the settings; what it holds is checked where it is used.
pub(super) struct PemFile;

impl Kind for PemFile {
    type Value = Pem;

    fn name(&self) -> String {
        File { checked: true }.name()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Pem> {
        let file = File { checked: false }.read(at)?;
        let text = contents(at, &file)?.into();
        Some(Pem { file, text })
    }
}
