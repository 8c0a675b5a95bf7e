//! JSON pointers (RFC 6901) looked up in raw JSON text, many in one walk, without building a tree.
use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A pointer's reference tokens, unescaped.
type Tokens<'p> = Vec<Cow<'p, str>>;

/// The JSON text at each pointer, byte for byte as it stands in `json`. None
/// where the pointer leads nowhere, is malformed, or `json` is no JSON.
pub fn select<'j, P: AsRef<str>>(json: &'j [u8], pointers: &[P]) -> Vec<Option<&'j str>> {
    let mut found = vec![None; pointers.len()];
    let Ok(text) = std::str::from_utf8(json) else { return found };
    let paths: Vec<(usize, Tokens<'_>)> = pointers
        .iter()
        .enumerate()
        .filter_map(|(slot, pointer)| Some((slot, tokens(pointer.as_ref())?)))
        .collect();
    let wanted: Vec<_> = paths.iter().map(|(slot, path)| (*slot, path.as_slice())).collect();
    let slots = RefCell::new(&mut found);
    let mut parser = serde_json::Deserializer::from_str(text);
    let seek = Seek { wanted, slots: &slots };
    let whole = match text.trim_ascii_start().as_bytes().first() {
        // A container of which nobody wants the whole text is walked at once.
        Some(b'{' | b'[') if !paths.iter().any(|(_, path)| path.is_empty()) => {
            parser.deserialize_any(seek)
        }
        _ => seek.deserialize(&mut parser),
    };
    if whole.is_err() || parser.end().is_err() {
        return vec![None; pointers.len()];
    }
    found
}

/// The JSON text at one pointer; see [`select`].
pub fn at<'j>(json: &'j [u8], pointer: &str) -> Option<&'j str> {
    select(json, &[pointer]).pop().flatten()
}

/// A JSON string's text; any other value but null as it stands.
pub fn plain(json: &str) -> Option<Cow<'_, [u8]>> {
    if json == "null" {
        return None;
    }
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(Cow::Borrowed(json.as_bytes()));
    };
    if inner.contains('\\') {
        let text: String = serde_json::from_str(json).ok()?;
        return Some(Cow::Owned(text.into_bytes()));
    }
    Some(Cow::Borrowed(inner.as_bytes()))
}

/// Whether the text is a pointer at all: empty, or `/` first and every `~` followed by 0 or 1.
pub fn is_valid(pointer: &str) -> bool {
    tokens(pointer).is_some()
}

fn tokens(pointer: &str) -> Option<Tokens<'_>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(unescape).collect()
}

fn unescape(token: &str) -> Option<Cow<'_, str>> {
    if !token.contains('~') {
        return Some(Cow::Borrowed(token));
    }
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        match char {
            '~' => match chars.next()? {
                '0' => out.push('~'),
                '1' => out.push('/'),
                _ => return None,
            },
            other => out.push(other),
        }
    }
    Some(Cow::Owned(out))
}

/// Walks one value for those pointers that lead into it. Values are kept as
/// text and never read: a number beyond all bounds or half a surrogate pair is
/// JSON too, and must not hide what stands beside it.
struct Seek<'s, 'p, 'j> {
    wanted: Vec<(usize, &'p [Cow<'p, str>])>,
    slots: &'s RefCell<&'s mut Vec<Option<&'j str>>>,
}

impl<'j> Seek<'_, '_, 'j> {
    /// Those that go on below the token.
    fn below(&self, token: &str) -> Self {
        let wanted = self.wanted.iter().filter_map(|(slot, path)| match path.split_first() {
            Some((first, rest)) if *first == token => Some((*slot, rest)),
            _ => None,
        });
        Self { wanted: wanted.collect(), slots: self.slots }
    }
}

impl<'j> DeserializeSeed<'j> for Seek<'_, '_, 'j> {
    type Value = ();

    fn deserialize<D: Deserializer<'j>>(self, parser: D) -> Result<(), D::Error> {
        if self.wanted.is_empty() {
            return <IgnoredAny as serde::Deserialize>::deserialize(parser).map(drop);
        }
        let raw: &'j RawValue = serde::Deserialize::deserialize(parser)?;
        let mut further = Vec::with_capacity(self.wanted.len());
        for (slot, path) in self.wanted {
            match path.is_empty() {
                true => self.slots.borrow_mut()[slot] = Some(raw.get()),
                false => further.push((slot, path)),
            }
        }
        if !further.is_empty() && raw.get().starts_with(['{', '[']) {
            let inner = Self { wanted: further, slots: self.slots };
            let mut parser = serde_json::Deserializer::from_str(raw.get());
            parser.deserialize_any(inner).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

impl<'j> Visitor<'j> for Seek<'_, '_, 'j> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&'j RawValue>()? {
            // A key that is no text is nobody's.
            let text = serde_json::from_str::<Cow<'_, str>>(key.get());
            match text {
                Ok(text) => map.next_value_seed(self.below(&text))?,
                Err(_) => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0usize;
        while list.next_element_seed(self.below(&index.to_string()))?.is_some() {
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const DOCUMENT: &str =
        r#" {"a": {"b/c": [10, {"~": 1.50e2}], "big": 12345678901234567890123}, "a2": "x"} "#;

    #[test]
    fn finds_text_byte_for_byte() {
        let pointers =
            ["/a/b~1c/1/~0", "/a/big", "/a2", "/a/b~1c/0", "/a/none", "/a/b~1c/9", "bad"];
        let found = select(DOCUMENT.as_bytes(), &pointers);
        assert_eq!(
            found,
            [
                Some("1.50e2"),
                Some("12345678901234567890123"),
                Some("\"x\""),
                Some("10"),
                None,
                None,
                None
            ]
        );
    }

    #[test]
    fn a_pointer_may_end_where_another_goes_on() {
        let found = select(br#"{"a":{"b":[1,2]}}"#, &["/a", "/a/b/1", "", "/a"]);
        assert_eq!(
            found,
            [
                Some(r#"{"b":[1,2]}"#),
                Some("2"),
                Some(r#"{"a":{"b":[1,2]}}"#),
                Some(r#"{"b":[1,2]}"#)
            ]
        );
    }

    #[test]
    fn broken_json_finds_nothing() {
        for broken in [&b"{\"a\":1"[..], b"{\"a\":1} x", b"\xff", b"", b"{\"a\":1,}"] {
            assert_eq!(at(broken, "/a"), None);
        }
    }

    #[test]
    fn regression_what_can_not_be_read_hides_nothing_beside_it() {
        for body in [
            r#"{"a":"k","b":1e999}"#,
            r#"{"a":"k","b":"\ud800"}"#,
            r#"{"a":"k","b":{"\ud800":1}}"#,
            r#"{"\ud800":1,"a":"k"}"#,
            r#"{"b":[[1e999]],"a":"k"}"#,
        ] {
            let found = select(body.as_bytes(), &["/a", "/b/x", "/b/0/0/y"]);
            assert_eq!(found, [Some("\"k\""), None, None], "{body}");
        }
        assert_eq!(at(br#"{"b":1e999}"#, "/b"), Some("1e999"));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-c/~\"]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-c/~01]{0,2}", inner, 0..4)
                    .prop_map(Value::from_iter),
            ]
        })
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json(value in json(), pointers in prop::collection::vec("(/[a-c0-2]{0,2}|/~0|/~1){0,4}", 1..5)) {
            let text = value.to_string();
            let found = select(text.as_bytes(), &pointers);
            for (pointer, got) in pointers.iter().zip(found) {
                let got: Option<Value> = got.map(|text| serde_json::from_str(text).expect("JSON"));
                prop_assert_eq!(got.as_ref(), value.pointer(pointer), "{}", pointer);
            }
        }
    }
}
