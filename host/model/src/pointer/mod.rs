//! JSON pointers (RFC 6901) looked up in raw JSON text, many in one walk, without building a tree.
//!
//! Whoever sends a body decides how long and how deep it is, and a plugin decides
//! which pointers are looked up. So the walk is one loop, linear in the text; it
//! needs neither the stack nor a limit on the depth.
mod walk;
mod wanted;

use std::borrow::Cow;

use self::walk::Walk;
pub use self::wanted::{POINTER_BYTES, POINTER_TOKENS, Unfit, Wanted};

/// What a text in UTF-8 may begin with (U+FEFF), and means nothing (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The JSON text at each pointer, byte for byte as it stands in `json`. None
/// where the pointer leads nowhere, is unfit (see [`check`]), or `json` is no JSON.
///
/// All that the grammar of RFC 8259 allows is JSON: a number beyond all bounds or
/// half a surrogate pair hides nothing that stands beside it. Of members of the
/// same name the last one counts. A byte order mark in front is no part of the text.
pub fn select<'j, P: AsRef<str>>(json: &'j [u8], pointers: &[P]) -> Vec<Option<&'j str>> {
    Wanted::new(pointers).select(json)
}

/// The JSON text at one pointer; see [`select`].
pub fn at<'j>(json: &'j [u8], pointer: &str) -> Option<&'j str> {
    select(json, &[pointer]).pop().flatten()
}

impl Wanted {
    /// As [`select`], of these pointers: for those who look the same ones up in each event.
    pub fn select<'j>(&self, json: &'j [u8]) -> Vec<Option<&'j str>> {
        let mut search = Search::new(json, self);
        while !search.go(usize::MAX) {}
        search.found()
    }
}

/// A [`select`] in pieces, for those whose time is counted.
pub struct Search<'j, 'w> {
    /// None once the text turned out to be no JSON.
    walk: Option<Walk<'j, 'w>>,
    wanted: &'w Wanted,
}

impl<'j, 'w> Search<'j, 'w> {
    /// A search of the text for these pointers, which has not begun. A text that is not UTF-8 has none of them.
    pub fn new(json: &'j [u8], wanted: &'w Wanted) -> Self {
        // Nobody wants anything: there is nothing to walk for.
        let json = if wanted.is_empty() { None } else { Some(without_mark(json)) };
        let text = json.and_then(|json| std::str::from_utf8(json).ok());
        Self { walk: text.map(|text| Walk::new(text, wanted)), wanted }
    }

    /// Walks on for at least that many bytes, if there are so many: to the end of
    /// the string or number that is begun. True once there is nothing more to do.
    pub fn go(&mut self, bytes: usize) -> bool {
        let Some(walk) = &mut self.walk else { return true };
        walk.go(bytes).unwrap_or_else(|walk::Broken| {
            self.walk = None;
            true
        })
    }

    /// To be asked once there is nothing more to do.
    pub fn found(self) -> Vec<Option<&'j str>> {
        self.walk.map_or_else(|| vec![None; self.wanted.count()], Walk::found)
    }
}

/// JSON without the byte order mark that it may begin with. Readers that are not
/// ours refuse it; what is handed on keeps it.
pub fn without_mark(json: &[u8]) -> &[u8] {
    json.strip_prefix(BYTE_ORDER_MARK).unwrap_or(json)
}

/// The text of a JSON string; any other value but null as it stands. A string
/// that is no text, since it holds half a surrogate pair, is given as it is
/// written, escapes and all: two that differ stay different.
pub fn plain(json: &str) -> Option<Cow<'_, [u8]>> {
    if json == "null" {
        return None;
    }
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some(Cow::Borrowed(json.as_bytes()));
    };
    if inner.contains('\\')
        && let Ok(text) = serde_json::from_str::<String>(json)
    {
        return Some(Cow::Owned(text.into_bytes()));
    }
    Some(Cow::Borrowed(inner.as_bytes()))
}

/// Whether the text is a pointer that is looked up: empty, or `/` first and every
/// `~` followed by 0 or 1, of at most [`POINTER_TOKENS`] tokens and [`POINTER_BYTES`].
///
/// # Errors
/// Why it is not.
pub fn check(pointer: &str) -> Result<(), Unfit> {
    wanted::tokens(pointer).map(drop)
}

/// [`check`], without the reason.
pub fn is_valid(pointer: &str) -> bool {
    check(pointer).is_ok()
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

    /// A pointer of so many tokens, and a body so deep in which it leads somewhere.
    fn deep(tokens: usize, depth: usize) -> (String, String) {
        let step = |level: usize| {
            if level.is_multiple_of(2) { ("/a", "{\"a\":", "}") } else { ("/0", "[", "]") }
        };
        let mut body: String = (0..depth).map(|level| step(level).1).collect();
        body.push('1');
        body.extend((0..depth).rev().map(|level| step(level).2));
        ((0..tokens).map(|level| step(level).0).collect(), body)
    }

    /// The fault: each level began a parser of its own, on the stack of the one above,
    /// so that a long pointer into a deep body ended the process.
    #[test]
    fn regression_a_long_pointer_into_a_deep_body_needs_no_stack() {
        let (long, body) = deep(POINTER_TOKENS, 200_000);
        let (longer, _) = deep(POINTER_TOKENS + 1, 0);
        let (endless, _) = deep(200_000, 0);
        let small = std::thread::Builder::new().stack_size(64 << 10);
        let walked = small.spawn(move || {
            let found = select(body.as_bytes(), &[&*long, &*longer, &*endless, "/a/0", "/b"]);
            let lengths = found.iter().map(|text| text.map_or(0, str::len)).collect::<Vec<_>>();
            (lengths, body.len())
        });
        let (lengths, whole) = walked.unwrap().join().unwrap();
        let levels = |count: usize| count / 2 * "{\"a\":[]}".len();
        assert_eq!(lengths, [whole - levels(POINTER_TOKENS), 0, 0, whole - levels(2), 0]);
    }

    /// The fault: each level was read once for every level above it.
    #[test]
    fn regression_the_walk_reads_each_byte_once_however_deep_the_pointer_leads() {
        let (pointer, body) = deep(POINTER_TOKENS, 2_000);
        let (pointers, wanted) = (vec![pointer; 64], Wanted::new(&["/x"]));
        let all = Wanted::new(&pointers);
        for wanted in [&wanted, &all] {
            let mut search = Search::new(body.as_bytes(), wanted);
            let mut steps = 0;
            while !search.go(1) {
                steps += 1;
            }
            assert!(steps <= body.len(), "{steps} for {} bytes", body.len());
        }
    }

    #[test]
    fn regression_pointers_are_bounded_and_say_so() {
        let long = format!("/{}", "a".repeat(POINTER_BYTES - 1));
        assert_eq!(check(&long), Ok(()));
        assert_eq!(check(&format!("{long}a")), Err(Unfit::Bytes(POINTER_BYTES + 1)));
        assert_eq!(check(&"/".repeat(POINTER_TOKENS)), Ok(()));
        let many = check(&"/".repeat(POINTER_TOKENS + 1)).unwrap_err();
        assert_eq!(many.to_string(), "it has 257 reference tokens; 256 is the limit");
        for bad in ["a", "a/b", "/~", "/~2", "/a~~0", "~0"] {
            assert_eq!(check(bad), Err(Unfit::Malformed), "{bad}");
        }
        let bytes = Unfit::Bytes(POINTER_BYTES + 1);
        let told = |pointers: &[&str]| Wanted::new(pointers).unfit();
        assert_eq!(told(&["/a", "a", &format!("{long}a"), "/~"]), Some(bytes), "a limit first");
        assert_eq!(told(&["/a", "a"]), Some(Unfit::Malformed));
        assert_eq!(told(&["/a", ""]), None);
    }

    /// The fault: many senders on Windows begin with one, and nothing was found.
    #[test]
    fn regression_a_byte_order_mark_in_front_hides_nothing() {
        let body = b"\xef\xbb\xbf {\"a\":\"k\"}";
        assert_eq!(select(body, &["/a", ""]), [Some("\"k\""), Some("{\"a\":\"k\"}")]);
        assert_eq!(at(b"\xef\xbb\xbf\xef\xbb\xbf{}", ""), None, "a second one is no space");
    }

    #[test]
    fn of_members_of_one_name_the_last_counts_with_all_that_is_in_it() {
        let pointers = ["/a", "/a/b", "/a/c"];
        let of = |body: &'static str| select(body.as_bytes(), &pointers);
        assert_eq!(of(r#"{"a":1,"a":2}"#), [Some("2"), None, None]);
        assert_eq!(of(r#"{"a":{"b":1},"a":{"c":2}}"#), [Some(r#"{"c":2}"#), None, Some("2")]);
        assert_eq!(of(r#"{"a":{"b":1},"\u0061":[]}"#), [Some("[]"), None, None]);
    }

    #[test]
    fn a_string_that_is_no_text_reads_as_it_is_written() {
        let of = |json: &'static str| plain(json).map(Cow::into_owned);
        assert_eq!(of(r#""\u00e9""#).unwrap(), "é".as_bytes());
        assert_eq!(of(r#""\ud83d\ude00""#).unwrap(), "😀".as_bytes());
        assert_eq!(of(r#""a\ud800""#).unwrap(), br"a\ud800");
        assert_eq!(of("null"), None);
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_no_json() {
        for broken in [
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "truex",
            "nul",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "[1}",
            "{\"a\":1]",
            "[",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "[1 2]",
            "1 2",
            "]",
            "'a'",
            "NaN",
            "\u{a0}1",
            "",
        ] {
            assert_eq!(at(broken.as_bytes(), ""), None, "{broken}");
            assert!(serde_json::from_str::<&serde_json::value::RawValue>(broken).is_err());
        }
        for good in
            ["-0", "1.50e2", "1E-400", "1e400", "\"\\ud800\"", " [ ] ", "\"\u{7f}é\"", "{\"\":{}}"]
        {
            assert_eq!(at(good.as_bytes(), ""), Some(good.trim()));
        }
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

        /// What is JSON for serde_json, which keeps the text as it is, is JSON here, and nothing else.
        #[test]
        fn takes_what_the_grammar_allows(text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+\\- tn]{0,12}|[\\[\\]{},:\"a]{0,16}") {
            let known = serde_json::from_str::<&serde_json::value::RawValue>(&text);
            prop_assert_eq!(at(text.as_bytes(), ""), known.ok().map(|raw| raw.get()));
        }
    }
}
