//! Paths of the ingress: source and token are the one or two segments after `/in/`.
#![no_main]
use hookwright_intake::http::target;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    let segments: Vec<&str> = path.split('/').collect();
    let expected = match segments[..] {
        ["", "in", name] if !name.is_empty() => Some((name, None)),
        ["", "in", name, token] if !name.is_empty() && !token.is_empty() => {
            Some((name, Some(token)))
        }
        _ => None,
    };
    assert_eq!(target(path), expected);
});
