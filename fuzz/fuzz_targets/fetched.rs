//! Schemes whose keys are fetched: only the provider's own places are asked, and who has no key of it is not verified.
#![no_main]
use std::sync::LazyLock;
use std::time::Duration;

use hookwright_signing::{CertifiedScheme, Issuer, Request, Verified, Verifier, Verify};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

const HEADERS: [&str; 5] = [
    "paypal-transmission-id",
    "paypal-transmission-time",
    "paypal-transmission-sig",
    "paypal-auth-algo",
    "paypal-cert-url",
];
const OWN: [&str; 5] = [
    "https://sns.",
    "https://api.paypal.com/",
    "https://api.sandbox.paypal.com/",
    "https://api-m.paypal.com/",
    "https://api-m.sandbox.paypal.com/",
];

static VERIFIERS: LazyLock<[Verifier; 2]> = LazyLock::new(|| {
    let topics = vec!["arn:aws:sns:eu-west-1:123456789012:orders".to_owned()];
    let webhook_id = "1JE4291016473214C".to_owned();
    [Issuer::Sns { topics }, Issuer::PayPal { webhook_id }].map(|issuer| {
        let tolerance = Duration::from_secs(3_600);
        Verifier::new(&Verify::Certified(CertifiedScheme { issuer, tolerance }))
    })
});

fuzz_target!(|input: ([Vec<u8>; 5], Vec<u8>, Vec<u8>, u64)| {
    let (values, certificate, body, now_s) = input;
    let mut headers = HeaderMap::new();
    for (name, value) in HEADERS.into_iter().zip(&values) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.insert(name, value);
        }
    }
    let request = Request::post(&headers, &body);
    for verifier in VERIFIERS.iter() {
        if let Ok(Some(wanted)) = verifier.wants(&request, now_s) {
            let url = wanted.url;
            assert!(OWN.iter().any(|own| url.starts_with(own)), "{url}");
        }
        let fetched = verifier.read(&certificate);
        // Whoever makes up a certificate could sign with it; bytes that nobody signed never fit.
        let verified = verifier.verify_with(&request, now_s, fetched.as_ref());
        assert!(!matches!(verified, Ok(Verified::Event { .. } | Verified::Confirm(_))));
    }
});
