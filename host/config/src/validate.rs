//! `validate` of a source: what its requests must look like.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::kind::{Choice, File, HEADER, Kind, List, Text, contents, mismatch};
use super::reader::{At, Section};
use super::tree::Value;
use super::unit::{Fault, quote};
use hookwright_model::{Rules, Schema};
use hookwright_signing::is_credential;

/// What becomes of an event that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnInvalid {
    /// Answered 422, and not kept.
    Refuse,
    /// Taken, and parked until a replay.
    Park,
}

const ON_INVALID: Choice<OnInvalid> =
    Choice(&[("refuse", OnInvalid::Refuse), ("park", OnInvalid::Park)]);

const CONTENT_TYPE: Text<String> = Text {
    name: "content type",
    example: "[\"application/json\"]",
    unit: "",
    parse: |text| {
        let parts = text.split_once('/').filter(|(kind, _)| !kind.is_empty());
        match parts.filter(|(_, rest)| !rest.is_empty() && !rest.contains([';', '/', ' '])) {
            Some(_) => Ok(text.to_ascii_lowercase()),
            None => {
                let help = "write it without parameters, as `application/json`";
                Err(Fault::new(format!("{} is no content type", quote(text)), help))
            }
        }
    },
};

pub(super) fn read(s: &Section<'_, '_>) -> Option<(Arc<Rules>, OnInvalid)> {
    let doc = "One of these must be the content type; parameters behind it do not count.";
    let content_types = s.key("content_types", List(CONTENT_TYPE), doc).default("[]");
    let doc = "Headers that must be there.";
    let headers = s.key("headers", List(HEADER), doc).default("[]");
    if let Some(name) = headers.iter().find(|name| is_credential(name)) {
        let message = format!("`{name}` carries a credential, which is not kept with an event");
        s.wrong("headers", Fault::new(message, "check it by `verify`, and remove it here"));
    }
    let doc = "A JSON Schema that bodies must fit, draft 2020-12 where it names no other. `format` is not enforced, patterns have no look-around, and `$ref` leads nowhere but into the same file.";
    let schema = s.key("schema", SchemaFile, doc).optional("none");
    let doc =
        "The same for single kinds, instead of `schema`: `{ \"order.paid\" = \"paid.json\" }`.";
    let kinds = s.key("schemas", SchemaFiles, doc).optional("none").unwrap_or_default();
    let doc = "`refuse` answers 422 with the place; `park` takes the event and parks it: nobody gets it before a replay.";
    let on_invalid = s.key("on_invalid", ON_INVALID, doc).default("refuse");
    let rules = Arc::new(Rules { content_types, headers, schema, kinds });
    Some((rules, on_invalid))
}

/// A file with a JSON Schema, compiled.
struct SchemaFile;

impl Kind for SchemaFile {
    type Value = Schema;

    fn name(&self) -> String {
        "path".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Schema> {
        let path = File { checked: false }.read(at)?;
        let bytes = contents(at, &path)?;
        match Schema::parse(&bytes) {
            Ok(schema) => Some(schema),
            Err(why) => {
                let message =
                    format!("{} is no JSON Schema: {why}", quote(&path.to_string_lossy()));
                at.wrong(Fault::new(message, "mend the file; the place in it is told"))
            }
        }
    }
}

/// A table of kinds and files.
struct SchemaFiles;

impl Kind for SchemaFiles {
    type Value = BTreeMap<String, Schema>;

    fn name(&self) -> String {
        "table of kinds and paths".to_owned()
    }

    fn read(&self, at: &At<'_, '_>) -> Option<Self::Value> {
        let Value::Table(table) = &at.node.value else {
            return mismatch(at, "a table", "{ \"order.paid\" = \"paid.json\" }");
        };
        let mut schemas = BTreeMap::new();
        for (kind, entry) in table {
            let path = format!("{}.{}", at.path, quote(kind).trim_matches('`'));
            let file = At { node: &entry.node, path, key: kind, ..at.clone() };
            schemas.extend(SchemaFile.read(&file).map(|schema| (kind.clone(), schema)));
        }
        // With one left out, a mistake was told.
        Some(schemas)
    }
}
