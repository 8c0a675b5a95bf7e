//! Any header's value with a token of a URL in it, in any percent-encoding: nothing of the token is left, and what has none stays.
#![no_main]
use hookwright_intake::http::UrlTokens;
use hookwright_signing::Secret;
use libfuzzer_sys::fuzz_target;

const TOKEN: &[u8] = b"vD2sPq9zT4hWm1kR8xYb";

fuzz_target!(|input: (Vec<u8>, Vec<u8>, u32)| {
    let (before, after, encoded) = input;
    let tokens = UrlTokens::new(vec![Secret::new(TOKEN.to_vec())]);
    let bare = tokens.bare_bytes(&before).into_owned();
    assert!(!holds(&bare));
    // Each byte as it is or percent-encoded. A `%` before it would be a part of what it encodes.
    let mut text: Vec<u8> = before.iter().copied().filter(|byte| *byte != b'%').collect();
    for (at, byte) in TOKEN.iter().enumerate() {
        match encoded >> at & 1 {
            0 => text.push(*byte),
            _ => text.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    text.extend_from_slice(&after);
    let bare = tokens.bare_bytes(&text).into_owned();
    assert!(!holds(&bare) && bare != text, "{}", String::from_utf8_lossy(&text));
});

fn holds(text: &[u8]) -> bool {
    text.windows(TOKEN.len()).any(|part| part == TOKEN)
}
