//! Signs a request as a source's provider would: for samples, demos and tests.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{Algorithm, Encoding, Secret, Verify};

/// The headers that make `body` acceptable to a source that verifies by `verify`,
/// by its first secret. `id` is used where the scheme signs one.
pub fn sign_as_provider(
    verify: &Verify,
    id: &str,
    timestamp_s: u64,
    body: &[u8],
) -> Vec<(String, String)> {
    let first = |secrets: &[Secret]| secrets.first().cloned();
    let stamp = timestamp_s.to_string();
    let header = |name: &str, value: String| vec![(name.to_owned(), value)];
    match verify {
        Verify::None => Vec::new(),
        Verify::Standard { secrets, .. } => first(secrets).map_or_else(Vec::new, |secret| {
            let signed = [id.as_bytes(), b".", stamp.as_bytes(), b".", body];
            let signature = STANDARD.encode(mac(Algorithm::Sha256, &secret, &signed));
            vec![
                ("webhook-id".to_owned(), id.to_owned()),
                ("webhook-timestamp".to_owned(), stamp.clone()),
                ("webhook-signature".to_owned(), format!("v1,{signature}")),
            ]
        }),
        Verify::Github { secrets } => first(secrets).map_or_else(Vec::new, |secret| {
            let signature = hex::encode(mac(Algorithm::Sha256, &secret, &[body]));
            header("x-hub-signature-256", format!("sha256={signature}"))
        }),
        Verify::Stripe { secrets, .. } => first(secrets).map_or_else(Vec::new, |secret| {
            let signed = [stamp.as_bytes(), b".", body];
            let signature = hex::encode(mac(Algorithm::Sha256, &secret, &signed));
            header("stripe-signature", format!("t={timestamp_s},v1={signature}"))
        }),
        Verify::Hmac(scheme) => first(&scheme.secrets).map_or_else(Vec::new, |secret| {
            let digest = mac(scheme.algorithm, &secret, &[body]);
            let signature = match scheme.encoding {
                Encoding::Hex => hex::encode(digest),
                Encoding::Base64 => STANDARD.encode(digest),
            };
            header(scheme.header.as_str(), format!("{}{signature}", scheme.prefix))
        }),
        Verify::Basic { secrets } => first(secrets).map_or_else(Vec::new, |secret| {
            header("authorization", format!("Basic {}", STANDARD.encode(secret.expose())))
        }),
        Verify::Bearer { secrets } => first(secrets).map_or_else(Vec::new, |secret| {
            let token = String::from_utf8_lossy(secret.expose()).into_owned();
            header("authorization", format!("Bearer {token}"))
        }),
    }
}

fn mac(algorithm: Algorithm, secret: &Secret, parts: &[&[u8]]) -> Vec<u8> {
    fn of<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let keyed = <M as KeyInit>::new_from_slice(key);
        let mut mac = keyed.expect("an HMAC takes a key of any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    }
    match algorithm {
        Algorithm::Sha1 => of::<Hmac<Sha1>>(secret.expose(), parts),
        Algorithm::Sha256 => of::<Hmac<Sha256>>(secret.expose(), parts),
        Algorithm::Sha512 => of::<Hmac<Sha512>>(secret.expose(), parts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn githubs_known_answer() {
        let verify = Verify::Github { secrets: vec![Secret::new("It's a Secret to Everybody")] };
        let headers = sign_as_provider(&verify, "", 0, b"Hello, World!");
        let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(headers, [("x-hub-signature-256".to_owned(), expected.to_owned())]);
    }
}
