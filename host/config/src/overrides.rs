//! Environment variables that stand in for keys of the file: `HOOKWRIGHT__INGRESS__LISTEN`.
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use super::tree::{Entry, Node, Origin, Table, Value};
use super::unit::{Fault, quote};

/// What every such variable starts with. Two underscores separate keys.
pub(super) const PREFIX: &str = "HOOKWRIGHT__";

/// Deeper than any setting.
const MAX_KEYS: usize = 8;

/// Lays the variables over the tree. What can't be laid is reported through `wrong`.
///
/// A name with a dash is written with an underscore: `SLIM_DOWN` is `slim-down`
/// where that stands in the file, else `slim_down`.
pub(super) fn apply(
    tree: &mut Table,
    env: &BTreeMap<String, OsString>,
    mut wrong: impl FnMut(Origin, Fault),
) {
    for (variable, value) in env.range(PREFIX.to_owned()..) {
        let Some(path) = variable.strip_prefix(PREFIX) else { break };
        let origin = Origin::Variable(Arc::from(variable.as_str()));
        let Some(text) = value.to_str() else {
            wrong(origin, Fault::new("its value is no UTF-8", "write it as UTF-8"));
            continue;
        };
        let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        if keys.len() > MAX_KEYS {
            wrong(origin, Fault::new("it names no setting", "unset it"));
            continue;
        }
        if let Err(fault) = set(tree, &keys, Node::from_text(text, &origin), &origin) {
            wrong(origin, fault);
        }
    }
}

fn set(table: &mut Table, keys: &[String], node: Node, origin: &Origin) -> Result<(), Fault> {
    let Some((first, rest)) = keys.split_first() else { return Ok(()) };
    if first.is_empty() {
        let help = format!("separate keys by two underscores, as in `{PREFIX}INGRESS__LISTEN`");
        return Err(Fault::new("it names an empty key", help));
    }
    let key = existing(table, first)?.unwrap_or_else(|| first.clone());
    if rest.is_empty() {
        if let Some(Entry { key: Origin::Variable(other), .. }) = table.get(&key) {
            let help = format!("unset it, or {other}");
            return Err(Fault::new(format!("it names the same key as {other}"), help));
        }
        table.insert(key, Entry { key: origin.clone(), node });
        return Ok(());
    }
    let empty = || Entry {
        key: origin.clone(),
        node: Node { value: Value::Table(Table::new()), origin: origin.clone(), raw: None },
    };
    match &mut table.entry(key.clone()).or_insert_with(empty).node.value {
        Value::Table(inner) => set(inner, rest, node, origin),
        other => {
            let message = format!("{} is {}, so it has no keys", quote(&key), other.what());
            Err(Fault::new(message, "unset the variable, or make the key a table"))
        }
    }
}

/// The key of the table that the variable means, dashes counting as underscores.
fn existing(table: &Table, wanted: &str) -> Result<Option<String>, Fault> {
    if table.contains_key(wanted) {
        return Ok(Some(wanted.to_owned()));
    }
    let alike: Vec<&String> = table.keys().filter(|key| key.replace('-', "_") == wanted).collect();
    match alike.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some((*one).clone())),
        [one, other, ..] => {
            let message = format!("it may mean {} or {}", quote(one), quote(other));
            Err(Fault::new(message, "set the key in the file"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree;
    use super::*;

    fn overlay(file: &str, env: &[(&str, &str)]) -> (Table, Vec<String>) {
        let mut tree = tree::parse(file).expect("TOML");
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let mut faults = Vec::new();
        apply(&mut tree, &env, |_, fault| faults.push(fault.message));
        (tree, faults)
    }

    fn text<'t>(tree: &'t Table, path: &[&str]) -> Option<&'t str> {
        let (last, tables) = path.split_last()?;
        let inner = tables.iter().try_fold(tree, |table, key| match &table.get(*key)?.node.value {
            Value::Table(inner) => Some(inner),
            _ => None,
        });
        inner?.get(*last)?.node.text()
    }

    #[test]
    fn a_variable_replaces_or_adds_a_key() {
        let (tree, faults) = overlay(
            "[ingress]\nlisten = \"a\"",
            &[
                ("HOOKWRIGHT__INGRESS__LISTEN", "b"),
                ("HOOKWRIGHT__NEW__DEEP__KEY", "c"),
                ("HOOKWRIGHT_ADMIN_TOKEN", "not ours"),
                ("PATH", "/bin"),
            ],
        );
        assert_eq!(faults, Vec::<String>::new());
        assert_eq!(text(&tree, &["ingress", "listen"]), Some("b"));
        assert_eq!(text(&tree, &["new", "deep", "key"]), Some("c"));
        assert_eq!(tree.len(), 2);
    }

    #[test]
    fn an_underscore_finds_a_dash() {
        let variable = [("HOOKWRIGHT__PLUGINS__SLIM_DOWN__FILE", "b.wasm")];
        let (tree, faults) = overlay("[plugins.slim-down]", &variable);
        assert!(faults.is_empty());
        assert_eq!(text(&tree, &["plugins", "slim-down", "file"]), Some("b.wasm"));
        let both = "[plugins.a-b_c]\n[plugins.a_b-c]";
        let (_, faults) = overlay(both, &[("HOOKWRIGHT__PLUGINS__A_B_C__FILE", "x")]);
        assert_eq!(faults, ["it may mean `a-b_c` or `a_b-c`"]);
    }

    #[test]
    fn what_cannot_be_laid_is_said() {
        let (_, mut faults) = overlay(
            "log = 1",
            &[
                ("HOOKWRIGHT__LOG__LEVEL", "debug"),
                ("HOOKWRIGHT____A", "1"),
                ("HOOKWRIGHT__SHUTDOWN", "1s"),
                ("HOOKWRIGHT__shutdown", "2s"),
            ],
        );
        faults.sort();
        assert_eq!(
            faults,
            [
                "`log` is a whole number, so it has no keys",
                "it names an empty key",
                "it names the same key as HOOKWRIGHT__SHUTDOWN",
            ]
        );
    }
}
