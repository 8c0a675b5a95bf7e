//! Standard Webhooks secrets out of any text: refused, or a key of the allowed length that signs and verifies.
#![no_main]
use hookwright_signing::{Request, Sign, Signer, Verifier, Verify, presets, standard_key};
use http::HeaderMap;
use libfuzzer_sys::fuzz_target;

const AT: u64 = 1_700_000_000;

fuzz_target!(|text: &str| {
    let Ok(key) = standard_key(text) else { return };
    let digits = text.trim().trim_start_matches("whsec_");
    let padding = digits.bytes().rev().take_while(|digit| *digit == b'=').count();
    assert_eq!(key.expose().len(), digits.len() / 4 * 3 - padding);
    assert!((24..=64).contains(&key.expose().len()));
    for written in [digits.to_owned(), format!("whsec_{digits}")] {
        assert!(standard_key(&written).is_ok_and(|same| same.expose() == key.expose()));
    }
    assert!(!format!("{key:?}").contains(digits), "a secret is never shown");

    let signer = Signer::new(Some(&Sign::standard([key.clone()])));
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", "msg_1".parse().expect("ASCII"));
    headers.insert("webhook-timestamp", AT.into());
    signer.apply(&mut headers, "msg_1", AT, b"{}").expect("one key, and it counts always");
    let verifier = Verifier::new(&Verify::preset(&presets::STANDARD, [key]));
    assert!(verifier.verify(&Request::post(&headers, b"{}"), AT).is_ok());
    assert!(verifier.verify(&Request::post(&headers, b"{ }"), AT).is_err());
});
