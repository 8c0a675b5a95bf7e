//! Kinds and keys from what providers send.
use super::*;
use proptest::prelude::*;

fn kind_at(pointer: &str, body: &str) -> String {
    let extraction = Extraction::new(Some(&settings::Selector::Json(pointer.into())), None);
    extraction.read(Envelope::new(&HeaderMap::new()), body.as_bytes()).0.into()
}

fn key(from: settings::Selector, headers: &HeaderMap, body: &str) -> Option<[u8; 16]> {
    let dedupe = settings::Dedupe { key: from, window: Duration::from_secs(60) };
    let extraction =
        Extraction::new(Some(&settings::Selector::Json("/type".into())), Some(&dedupe));
    let (_, dedupe) = extraction.read(Envelope::new(headers), body.as_bytes());
    dedupe.map(|dedupe| dedupe.key)
}

#[test]
fn a_kind_is_the_text_at_the_pointer() {
    let body =
        r#"{"type":"invoice.paid","n":5,"none":null,"esc":"a\"\u00e9\n","list":[1,{"x":"y"}]}"#;
    assert_eq!(kind_at("/type", body), "invoice.paid");
    assert_eq!(kind_at("/n", body), "5");
    assert_eq!(kind_at("/none", body), "");
    assert_eq!(kind_at("/esc", body), "a\"é");
    assert_eq!(kind_at("/list/1/x", body), "y");
    assert_eq!(kind_at("/absent", body), "");
    assert_eq!(kind_at("/type", "no json"), "");
}

#[test]
fn a_kind_may_come_from_a_header_of_any_bytes() {
    let name = HeaderName::from_static("x-event");
    let extraction = Extraction::new(Some(&settings::Selector::Header(name.clone())), None);
    let mut headers = HeaderMap::new();
    headers.insert(&name, HeaderValue::from_bytes(b"pu\xffsh\t").unwrap());
    assert_eq!(&*extraction.read(Envelope::new(&headers), b"").0, "pu\u{fffd}sh");
}

#[test]
fn a_key_comes_from_the_id_a_header_or_the_body() {
    let mut headers = HeaderMap::new();
    headers.insert("svix-id", HeaderValue::from_static("one"));
    headers.insert("x-key", HeaderValue::from_static("two"));
    let body = r#"{"type":"t","id":"three","empty":""}"#;
    let header = |name| settings::Selector::Header(HeaderName::from_static(name));
    assert_eq!(key(settings::Selector::Id, &headers, body), Some(hash(b"one")));
    assert_eq!(key(header("x-key"), &headers, body), Some(hash(b"two")));
    assert_eq!(key(settings::Selector::Json("/id".into()), &headers, body), Some(hash(b"three")));
    assert_eq!(key(header("x-none"), &headers, body), None);
    for absent in ["/none", "/empty"] {
        assert_eq!(key(settings::Selector::Json(absent.into()), &headers, body), None);
    }
    headers.insert("webhook-id", HeaderValue::from_static("zero"));
    assert_eq!(key(settings::Selector::Id, &headers, body), Some(hash(b"zero")));
}

#[test]
fn a_key_may_be_the_whole_body_or_several_parts() {
    let mut headers = HeaderMap::new();
    headers.insert("x-key", HeaderValue::from_static("ab"));
    assert_eq!(key(settings::Selector::Body, &headers, "{} "), Some(hash(b"{} ")));
    assert_ne!(
        key(settings::Selector::Body, &headers, "{}"),
        key(settings::Selector::Body, &headers, "{} ")
    );
    let parts = |pointers: &[&str]| {
        let pointers = pointers.iter().map(|text| settings::Selector::Json((*text).into()));
        let header = settings::Selector::Header(HeaderName::from_static("x-key"));
        settings::Selector::All(pointers.chain([header]).collect())
    };
    let both = |body| key(parts(&["/a", "/b"]), &headers, body);
    assert_eq!(both(r#"{"a":"1","b":2,"c":3}"#), both(r#"{"b":2,"a":"1"}"#));
    // The bounds between the parts count.
    assert_ne!(both(r#"{"a":"1","b":"23"}"#), both(r#"{"a":"12","b":"3"}"#));
    assert_eq!(both(r#"{"a":"1"}"#), None, "one is missing: no key");
}

/// A byte order mark, half a surrogate pair or a number beyond all bounds hid kind and key.
#[test]
fn regression_kind_and_key_are_found_in_all_that_is_json() {
    let none = HeaderMap::new();
    let plain = key(settings::Selector::Json("/id".into()), &none, r#"{"id":"1"}"#);
    assert!(plain.is_some());
    for more in ["1", "1e400", r#""\ud800""#, r#"{"\udc00":[-1e999]}"#] {
        for start in ["", "\u{feff}"] {
            let body = format!("{start}{{\"more\":{more},\"type\":\"t\",\"id\":\"1\"}}");
            assert_eq!(kind_at("/type", &body), "t", "{body}");
            assert_eq!(key(settings::Selector::Json("/id".into()), &none, &body), plain, "{body}");
        }
    }
}

#[test]
fn regression_a_cloud_event_is_known_in_every_mode() {
    let of = |content_type: &'static str, more: &[(&'static str, &'static str)], body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        for (name, value) in more {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        let dedupe = settings::Dedupe {
            key: settings::Selector::CloudEvents,
            window: Duration::from_secs(60),
        };
        let extraction = Extraction::new(Some(&settings::Selector::CloudEvents), Some(&dedupe));
        let (kind, dedupe) = extraction.read(Envelope::new(&headers), body.as_bytes());
        (String::from(kind), dedupe.map(|dedupe| dedupe.key))
    };
    let body = r#"{"specversion":"1.0","type":"com.example.made","source":"/s","id":"1"}"#;
    let attributes = [("ce-type", "com.example.made"), ("ce-source", "/s"), ("ce-id", "1")];
    let (kind, id) = of("application/cloudevents+json; charset=UTF-8", &[], body);
    assert_eq!((kind.as_str(), id.is_some()), ("com.example.made", true));
    // The same event in the other mode is the same event.
    let binary = of("application/json", &attributes, r#"{"type":"of the data"}"#);
    assert_eq!(binary, (kind.clone(), id));
    assert_eq!(of("text/plain", &attributes, "x"), (kind.clone(), id));
    let batch = of("application/cloudevents-batch+json", &[], &format!("[{body},{body}]"));
    assert_eq!(batch, (kind.clone(), None));
    assert_eq!(of("application/CloudEvents+JSON", &attributes, "{}"), (String::new(), None));
    let other = body.replace("\"/s\"", "\"/t\"");
    assert_ne!(of("application/cloudevents+json", &[], &other), (kind, id));
}

#[test]
fn regression_forms_have_a_kind_and_a_key() {
    let of = |content_type: &'static str, body: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let key = settings::Selector::All(vec![
            settings::Selector::Form("id".into()),
            settings::Selector::Form("part".into()),
        ]);
        let dedupe = settings::Dedupe { key, window: Duration::from_secs(60) };
        let kind = settings::Selector::First(vec![
            settings::Selector::Json("/event".into()),
            settings::Selector::Form("event".into()),
        ]);
        let extraction = Extraction::new(Some(&kind), Some(&dedupe));
        let (kind, dedupe) = extraction.read(Envelope::new(&headers), body.as_bytes());
        (String::from(kind), dedupe.map(|dedupe| dedupe.key))
    };
    let form = "application/x-www-form-urlencoded";
    let (kind, key) = of(form, "id=1&part=%32&event=mail%2Eopened");
    assert_eq!((kind.as_str(), key.is_some()), ("mail.opened", true));
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let parts = [field("event", "mail.opened"), field("id", "1"), field("part", "2")].concat();
    let multipart = of("multipart/form-data; boundary=b", &format!("{parts}--b--\r\n"));
    assert_eq!(multipart, (kind, key));
    assert_ne!(of(form, "id=12&part=&event=a").1, key);
    assert_eq!(of(form, "id=1&event=a").1, None, "one is missing: no key");
    assert_eq!(of("application/json", r#"{"event":"json"}"#).0, "json");
}

#[test]
fn regression_one_value_of_a_header_may_be_the_kind_before_another_header() {
    let kind = settings::Selector::First(vec![
        settings::Selector::HeaderIs(
            HeaderName::from_static("x-sort"),
            HeaderValue::from_static("revocation"),
        ),
        settings::Selector::Header(HeaderName::from_static("x-kind")),
    ]);
    let extraction = Extraction::new(Some(&kind), None);
    let mut headers = HeaderMap::new();
    headers.insert("x-kind", HeaderValue::from_static("follow"));
    headers.insert("x-sort", HeaderValue::from_static("notification"));
    assert_eq!(&*extraction.read(Envelope::new(&headers), b"").0, "follow");
    headers.insert("x-sort", HeaderValue::from_static("revocation"));
    assert_eq!(&*extraction.read(Envelope::new(&headers), b"").0, "revocation");
}

proptest! {
    #[test]
    fn a_kind_is_short_and_printable(text in "\\PC*|(.|\\n|\u{0})*|[a-zé\u{1f600}]{150,300}") {
        let kind = clean(&text);
        prop_assert!(kind.len() <= MAX_KIND);
        prop_assert!(!kind.contains(char::is_control));
        let all: String = text.chars().filter(|char| !char.is_control()).collect();
        prop_assert!(all.starts_with(&*kind));
        prop_assert!(*kind == *all || kind.len() > MAX_KIND - 4);
    }

    #[test]
    fn any_body_is_read_without_a_panic(body: Vec<u8>) {
        Extraction::new(Some(&settings::Selector::Json("/a/0".into())), None).read(Envelope::new(&HeaderMap::new()), &body);
    }
}
