//! Any answer of an authorization server: no token, or one that can stand in a header and has an end.
#![no_main]
use std::time::Duration;

use hookwright_signing::{Token, token_refusal};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(token) = Token::read(body) {
        assert!(token.authorization.as_bytes().starts_with(b"Bearer "));
        assert!(token.authorization.is_sensitive());
        assert!(token.lasts <= Duration::from_secs(7 * 24 * 3_600));
    }
    if let Some(code) = token_refusal(body) {
        assert!(
            code.len() <= 40 && code.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
        );
    }
});
