//! JSON pointers over arbitrary bytes: never a panic, and what is found lies in the input.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (String, String, Vec<u8>)| {
    let (first, second, json) = input;
    for found in hookwright::model::pointer::select(&json, &[first, second]).into_iter().flatten() {
        assert!(json.windows(found.len().max(1)).any(|window| window == found.as_bytes()));
    }
});
