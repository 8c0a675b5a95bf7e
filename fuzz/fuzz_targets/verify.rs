//! Requests from somebody who knows no secret: under no scheme verified, whatever headers and body hold.
#![no_main]
use std::sync::LazyLock;
use std::time::Duration;

use hookwright::signing::{Algorithm, Encoding, HmacScheme, Request, Secret, Verifier, Verify};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const TOLERANCE: Duration = Duration::from_secs(300);

/// Each verifier with the names of the headers that it reads.
type Schemes = Vec<(Verifier, &'static [&'static str])>;

static SCHEMES: LazyLock<Schemes> = LazyLock::new(|| {
    let secrets = || vec![Secret::new([0xa5; 32]), Secret::new("user:9f8a3c17d2e4b650")];
    let standard = Verify::Standard { secrets: secrets(), tolerance: TOLERANCE };
    let stripe = Verify::Stripe { secrets: secrets(), tolerance: TOLERANCE };
    let hmac = |algorithm, encoding| {
        let (header, prefix) = (HeaderName::from_static("x-signature"), "sig=".to_owned());
        Verify::Hmac(HmacScheme { header, algorithm, encoding, prefix, secrets: secrets() })
    };
    let schemes: [(Verify, &[&str]); 9] = [
        (standard.clone(), &["webhook-id", "webhook-timestamp", "webhook-signature"]),
        (standard, &["svix-id", "svix-timestamp", "svix-signature"]),
        (stripe, &["stripe-signature"]),
        (Verify::Github { secrets: secrets() }, &["x-hub-signature-256"]),
        (hmac(Algorithm::Sha1, Encoding::Hex), &["x-signature"]),
        (hmac(Algorithm::Sha256, Encoding::Base64), &["x-signature"]),
        (hmac(Algorithm::Sha512, Encoding::Base64), &["x-signature"]),
        (Verify::Basic { secrets: secrets() }, &["authorization"]),
        (Verify::Bearer { secrets: secrets() }, &["authorization"]),
    ];
    schemes.into_iter().map(|(verify, names)| (Verifier::new(&verify), names)).collect()
});

fuzz_target!(|input: ([Option<Vec<u8>>; 3], Vec<u8>, u64)| {
    let (values, body, now_s) = input;
    for (verifier, names) in SCHEMES.iter() {
        let mut headers = HeaderMap::new();
        for (name, value) in names.iter().zip(&values) {
            // A byte that no header can carry never arrives.
            if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_bytes) {
                headers.insert(*name, value);
            }
        }
        assert!(verifier.verify(&Request::post(&headers, &body), now_s).is_err(), "{headers:?}");
    }
});
