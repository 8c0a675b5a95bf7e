//! JSON as a tree: what serde_json reads is read alike, and what the pointer's walk refuses is no JSON here.
#![no_main]
use hookwright_model::{pointer, read_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: Vec<u8>| {
    let own = read_json(&body);
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(value) => assert_eq!(own.expect("JSON"), value),
        Err(_) => assert!(own.is_err() || pointer::at(&body, "").is_some()),
    }
});
