//! Plugin digests out of any text: refused, or the same digest after printing.
#![no_main]
use hookwright_model::Digest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(digest) = text.parse::<Digest>() else { return };
    let printed = digest.to_string();
    assert_eq!(printed, text.to_lowercase());
    assert_eq!(printed.parse(), Ok(digest));
    assert_eq!(Digest::new(*digest.as_bytes()), digest);
    assert!(printed.starts_with(&digest.short()));
});
