//! Requests signed as providers sign them, then changed in one byte: verified exactly where the change means nothing.
#![no_main]
use std::ops::Range;
use std::time::Duration;

use hookwright::signing::{
    Algorithm, Encoding, HmacScheme, Request, Secret, Verifier, Verify, sign_as_provider,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

const TOLERANCE: Duration = Duration::from_secs(300);
const PREFIX: &str = "sig=";

fuzz_target!(|input: (u8, Vec<u8>, Vec<u8>, u64, u16, u8)| {
    let (number, key, mut body, at, place, mask) = input;
    let verify = scheme(number, &key);
    let verifier = Verifier::new(&verify);
    let sent = sign_as_provider(&verify, "msg_1", at, &body);
    let mut headers = map(&sent);
    assert!(verifier.verify(&Request::post(&headers, &body), at).is_ok());

    let mut place = usize::from(place);
    if let Some(byte) = body.get_mut(place) {
        *byte ^= mask;
        let signed = !matches!(verify, Verify::Basic { .. } | Verify::Bearer { .. });
        assert_eq!(
            verifier.verify(&Request::post(&headers, &body), at).is_ok(),
            mask == 0 || !signed
        );
        return;
    }
    place -= body.len();
    for (name, value) in sent {
        let mut bytes = value.clone().into_bytes();
        let Some(byte) = bytes.get_mut(place) else {
            place -= bytes.len();
            continue;
        };
        *byte ^= mask;
        let free = case_free(&verify, &value).contains(&place);
        let same = mask == 0 || free && value.as_bytes().eq_ignore_ascii_case(&bytes);
        // A byte that no header can carry never arrives.
        let Ok(changed) = HeaderValue::from_bytes(&bytes) else { return };
        headers.insert(name.parse::<HeaderName>().expect("it was one"), changed);
        assert_eq!(
            verifier.verify(&Request::post(&headers, &body), at).is_ok(),
            same,
            "{headers:?}"
        );
        return;
    }
});

fn scheme(number: u8, key: &[u8]) -> Verify {
    let secrets = vec![Secret::new(key)];
    match number % 6 {
        0 => Verify::Standard { secrets, tolerance: TOLERANCE },
        1 => Verify::Github { secrets },
        2 => Verify::Stripe { secrets, tolerance: TOLERANCE },
        3 => Verify::Basic { secrets },
        4 => {
            // A token is made of what a header can carry.
            let token: Vec<u8> = key.iter().map(|byte| b'!' + byte % 94).collect();
            Verify::Bearer { secrets: vec![Secret::new(token)] }
        }
        _ => {
            let algorithm = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
            Verify::Hmac(HmacScheme {
                header: HeaderName::from_static("x-signature"),
                algorithm: algorithm[usize::from(number / 6 % 3)],
                encoding: if number < 128 { Encoding::Hex } else { Encoding::Base64 },
                prefix: PREFIX.to_owned(),
                secrets,
            })
        }
    }
}

/// Where large and small letters mean the same: hexadecimal digits, and the
/// name of an authentication scheme.
fn case_free(verify: &Verify, value: &str) -> Range<usize> {
    match verify {
        Verify::Github { .. } => "sha256=".len()..value.len(),
        Verify::Hmac(hmac) if hmac.encoding == Encoding::Hex => PREFIX.len()..value.len(),
        Verify::Stripe { .. } => value.rfind('=').map_or(0, |at| at + 1)..value.len(),
        Verify::Basic { .. } | Verify::Bearer { .. } => 0..value.find(' ').unwrap_or(0),
        _ => 0..0,
    }
}

fn map(pairs: &[(String, String)]) -> HeaderMap {
    let name = |text: &str| text.parse::<HeaderName>().expect("a header's name");
    let value = |text: &str| text.parse::<HeaderValue>().expect("a header's value");
    pairs.iter().map(|(key, text)| (name(key), value(text))).collect()
}
