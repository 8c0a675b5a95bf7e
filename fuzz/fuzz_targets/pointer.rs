//! JSON pointers over arbitrary bytes: what is found is JSON that stands in the input, and is what serde_json finds.
#![no_main]
use hookwright_model::pointer;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|input: (String, String, Vec<u8>)| {
    let (first, second, json) = input;
    let pointers = [first, second];
    let found = pointer::select(&json, &pointers);
    assert_eq!(found.len(), pointers.len());
    for (pointer, text) in pointers.iter().zip(&found) {
        let Some(text) = text else { continue };
        assert!(pointer::is_valid(pointer));
        assert!(stands_in(&json, text), "not a part of the input");
        serde_json::from_str::<&RawValue>(text).expect("what is found is JSON");
    }

    // As serde_json prints it, no key stands twice and no number is out of
    // range, so that there is only one right answer.
    let Ok(value) = serde_json::from_slice::<Value>(&json) else { return };
    let printed = value.to_string();
    let found = pointer::select(printed.as_bytes(), &pointers);
    for (pointer, text) in pointers.iter().zip(found) {
        // serde_json takes a `~` that escapes nothing for itself.
        let expected = value.pointer(pointer).filter(|_| pointer::is_valid(pointer));
        assert_eq!(text.map(str::to_owned), expected.map(Value::to_string), "{pointer}");
    }
});

/// By address: the text is borrowed, not only equal to a part.
fn stands_in(whole: &[u8], part: &str) -> bool {
    let (outer, inner) = (whole.as_ptr_range(), part.as_bytes().as_ptr_range());
    outer.start <= inner.start && inner.end <= outer.end
}
