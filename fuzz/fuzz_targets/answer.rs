//! What a destination answers, byte by byte or at once: the same status and the same limit of streams.
#![no_main]
use hookwright_egress::{Frames, StatusLine};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut whole, mut cut) = (StatusLine::default(), StatusLine::default());
    whole.read(bytes);
    bytes.chunks(1).for_each(|byte| cut.read(byte));
    assert_eq!(whole.status(), cut.status());
    assert!(whole.status().is_none_or(|status| (100..=999).contains(&status)));
    whole.begin();
    assert_eq!(whole.status(), None);

    let (mut whole, mut cut) = (Frames::default(), Frames::default());
    let limit = whole.read(bytes);
    let last = bytes.chunks(1).fold(None, |last, byte| cut.read(byte).or(last));
    assert_eq!(limit, last);
});
