//! Paths of the ingress: the source that is found is the one segment after `/in/`.
#![no_main]
use hookwright::ingress::source_name;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|path: &str| {
    match source_name(path) {
        Some(name) => {
            assert_eq!(format!("/in/{name}"), path);
            assert!(!name.is_empty() && !name.contains('/'));
        }
        None => {
            let segments: Vec<&str> = path.split('/').collect();
            assert!(!matches!(segments[..], ["", "in", name] if !name.is_empty()));
        }
    }
});
