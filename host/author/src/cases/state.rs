//! What a plugin keeps, as a case writes it: `[state]` before the event, `state` of `[expect]` after it.
use std::collections::BTreeMap;

use anyhow::{Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toml::Value;

use hookwright_model::{Name, StateRow, StateValue};
use hookwright_plugins::Changes;

/// Keys, each with its value as TOML writes it; `false` is a key that is deleted.
pub(super) type State = BTreeMap<String, String>;

/// A table of a case.
///
/// # Errors
/// Where a value is neither a whole number nor a text, nor `{ base64 = "…" }`, nor `false`.
pub(super) fn read(table: BTreeMap<String, Value>) -> Result<State> {
    let each = table.into_iter().map(|(key, value)| {
        if value_of(&value).is_none() && value != Value::Boolean(false) {
            bail!("`{key}`: a whole number, a text, `{{ base64 = \"…\" }}`, or `false` for none");
        }
        Ok((key, text(value_of(&value).as_ref())))
    });
    each.collect()
}

/// What a call wrote.
pub(super) fn texts(changes: &Changes) -> State {
    changes.writes().into_iter().map(|(key, value)| (key, text(value.as_ref()))).collect()
}

/// What the plugin kept before.
pub(super) fn rows(plugin: &Name, state: &State) -> Vec<StateRow> {
    let row = |(key, text): (&String, &String)| {
        let table: toml::Table = format!("value = {text}").parse().ok()?;
        let value = Some(value_of(table.get("value")?)?);
        Some(StateRow { plugin: plugin.clone(), key: key.as_str().into(), value, expires_ms: None })
    };
    state.iter().filter_map(row).collect()
}

fn value_of(value: &Value) -> Option<StateValue> {
    Some(match value {
        Value::Integer(number) => StateValue::Number(*number),
        Value::String(text) => StateValue::Bytes(text.clone().into()),
        Value::Table(table) if table.len() == 1 => {
            StateValue::Bytes(STANDARD.decode(table.get("base64")?.as_str()?).ok()?.into())
        }
        _ => return None,
    })
}

fn text(value: Option<&StateValue>) -> String {
    match value {
        None => "false".into(),
        Some(StateValue::Number(number)) => number.to_string(),
        Some(StateValue::Bytes(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::from(text).to_string(),
            Err(_) => format!("{{ base64 = \"{}\" }}", STANDARD.encode(bytes)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_the_same_and_becomes_rows() {
        let text = "n = 3\nt = \"a\\\"b\"\nb = { base64 = \"/w==\" }\ngone = false\n";
        let state = read(toml::from_str(text).unwrap()).unwrap();
        let lines: String = state.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
        assert_eq!(read(toml::from_str(&lines).unwrap()).unwrap(), state, "{lines}");
        let rows = rows(&"p".parse().unwrap(), &state);
        let values: Vec<_> =
            rows.iter().map(|row| (&*row.key, row.value.clone().unwrap())).collect();
        let bytes = |bytes: &'static [u8]| StateValue::Bytes(bytes.into());
        let expected = [("b", bytes(b"\xff")), ("n", StateValue::Number(3)), ("t", bytes(b"a\"b"))];
        assert_eq!(values, expected);
        let error = read(toml::from_str("x = 1.5").unwrap()).unwrap_err().to_string();
        assert!(error.contains("`x`"), "{error}");
    }
}
