//! Names out of any text: refused in few words, or kept as they stand and fit for a path.
#![no_main]
use hookwright_intake::http::target;
use hookwright_model::Name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match text.parse::<Name>() {
    Ok(name) => {
        assert_eq!(name.as_str(), text);
        assert!((1..=64).contains(&name.len()) && name.is_ascii());
        let path = format!("/in/{name}");
        assert_eq!(target(&path), Some((text, None)));
        path.parse::<http::uri::PathAndQuery>().expect("a name needs no escaping");
    }
    Err(error) => assert!(error.to_string().chars().count() < 200),
});
