//! What a collector of traces answers: whatever it is, it is a complaint that says something, or none.
#![no_main]
use hookwright_telemetry::traces::{ANSWER_BYTES, complaint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    if answer.len() > ANSWER_BYTES {
        return;
    }
    if let Some(complaint) = complaint(answer) {
        assert!(complaint.rejected > 0 || !complaint.message.is_empty());
        assert!(complaint.message.len() <= ANSWER_BYTES);
    }
});
