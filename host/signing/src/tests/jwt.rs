//! Tokens: PyJWT's are taken, and none that is altered, expired or for somebody else.
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const AT: u64 = 1_764_000_000;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/jwt.json")).unwrap()
}

fn set() -> Vec<Jwk> {
    jwks(vectors()["jwks"].to_string().as_bytes()).unwrap()
}

fn scheme() -> JwtScheme {
    JwtScheme {
        keys: JwtKeys::Set(set()),
        issuer: Some("https://issuer.example".to_owned()),
        audience: "hookwright".to_owned(),
        claims: Vec::new(),
        tolerance: Duration::from_secs(60),
    }
}

fn asked(scheme: &JwtScheme, token: &str, now_s: u64) -> Result<Verified, Refusal> {
    let headers = headers(&[("authorization", &format!("Bearer {token}"))]);
    verify(&Verifier::new(&Verify::Jwt(scheme.clone())), &headers, b"{}", now_s)
}

fn good(index: usize) -> String {
    vectors()["good"][index]["token"].as_str().unwrap().to_owned()
}

#[test]
fn tokens_of_every_algorithm_are_taken_in_their_time() {
    for index in 0..3 {
        let token = good(index);
        assert_eq!(asked(&scheme(), &token, AT), with(index));
        assert_eq!(asked(&scheme(), &token, AT + 119), with(index));
        for late in [AT - 61, AT + 120, u64::MAX] {
            assert_eq!(asked(&scheme(), &token, late), Err(Refusal::Stale), "{late}");
        }
    }
}

#[test]
fn a_set_at_a_url_serves_once_it_is_fetched() {
    let url = "https://issuer.example/jwks.json".to_owned();
    let scheme = JwtScheme { keys: JwtKeys::Url(url.clone()), ..scheme() };
    let verifier = Verifier::new(&Verify::Jwt(scheme));
    let headers = headers(&[("authorization", &format!("Bearer {}", good(1)))]);
    let request = Request::post(&headers, b"{}");
    let wanted = verifier.wants(&request, AT).unwrap().expect("a set");
    assert_eq!((&*wanted.url, wanted.named), (url.as_str(), false));
    assert_eq!(verifier.verify(&request, AT), Err(Refusal::NoKeys));
    let fetched = verifier.read(vectors()["jwks"].to_string().as_bytes()).unwrap();
    assert_eq!(verifier.verify_with(&request, AT, Some(&fetched)), with(0));
    assert!(verifier.read(b"<html>").is_none());
}

#[test]
fn by_another_key_algorithm_or_none_no_token_is_taken() {
    for token in vectors()["bad"].as_array().unwrap() {
        assert_eq!(asked(&scheme(), token.as_str().unwrap(), AT), Err(Refusal::Mismatch));
    }
    let one = JwtScheme { keys: JwtKeys::Set(set().drain(1..).collect()), ..scheme() };
    assert_eq!(asked(&one, &good(0), AT), Err(Refusal::Mismatch));
}

#[test]
fn a_token_for_another_audience_or_by_another_issuer_is_refused() {
    let other = JwtScheme { audience: "other".to_owned(), ..scheme() };
    assert_eq!(asked(&other, &good(0), AT), Err(Refusal::Mismatch));
    let other = JwtScheme { issuer: Some("https://other.example".to_owned()), ..scheme() };
    assert_eq!(asked(&other, &good(0), AT), Err(Refusal::Mismatch));
    let any = JwtScheme { issuer: None, ..scheme() };
    assert_eq!(asked(&any, &good(0), AT), with(0));
}

#[test]
fn a_changed_character_anywhere_is_refused() {
    let token = good(2);
    for place in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(asked(&scheme(), &changed, AT).is_err(), "{changed}");
    }
    for hostile in ["", ".", "..", "...", "a.b.c", "e30.e30.", &format!("{token}.x"), &token[1..]] {
        assert!(asked(&scheme(), hostile, AT).is_err(), "{hostile}");
    }
}

#[test]
fn claims_are_read_strictly_once_the_signature_holds() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[5; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }, { "kty": "oct" }] });
    let scheme =
        JwtScheme { keys: JwtKeys::Set(jwks(set.to_string().as_bytes()).unwrap()), ..scheme() };
    let token = |header: Value, claims: Value| {
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        asked(&scheme, &format!("{signed}.{signature}"), AT)
    };
    let header = || json!({ "alg": "EdDSA" });
    let claims = |more: Value| {
        let mut claims =
            json!({ "iss": "https://issuer.example", "aud": ["x", "hookwright"], "exp": AT + 9 });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    };
    assert_eq!(token(header(), claims(json!({}))), with(0));
    assert_eq!(token(header(), claims(json!({ "aud": [] }))), Err(Refusal::Mismatch));
    assert_eq!(token(header(), claims(json!({ "iss": null }))), Err(Refusal::Mismatch));
    for broken in [json!({ "exp": null }), json!({ "exp": "soon" }), json!({ "aud": 5 })] {
        assert_eq!(token(header(), claims(broken)), Err(Refusal::Malformed));
    }
    let critical = json!({ "alg": "EdDSA", "crit": ["b64"], "b64": false });
    assert_eq!(token(critical, claims(json!({}))), Err(Refusal::Malformed));
    let renamed = json!({ "alg": "EdDSA", "kid": "any" });
    assert_eq!(token(renamed, claims(json!({}))), with(0), "a key without a name fits any");

    let sent = sign_with(
        &Verify::Jwt(scheme.clone()),
        &Draft { id: "1", at_s: AT, kind: None, body: None },
        &|message| pair.sign(message).as_ref().to_vec(),
    );
    let verifier = Verifier::new(&Verify::Jwt(scheme.clone()));
    assert_eq!(verify(&verifier, &kit::map(&sent.unwrap()), b"{}", AT), with(0));
}

/// Google makes a token with any audience for whoever has a service account: any of them passed.
#[test]
fn regression_claims_say_who_among_those_that_an_issuer_makes_tokens_for() {
    use ring::signature::{Ed25519KeyPair, KeyPair};
    let pair = Ed25519KeyPair::from_seed_unchecked(&[6; 32]).unwrap();
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    let set = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": x }] });
    let keys = jwks(set.to_string().as_bytes()).unwrap();
    let token = |more: Value| {
        let mut claims =
            json!({ "iss": "https://issuer.example", "aud": "hookwright", "exp": AT + 9 });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(json!({ "alg": "EdDSA" })), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    };
    let demanding = |claims: &[(&str, Value)]| JwtScheme {
        keys: JwtKeys::Set(keys.clone()),
        claims: claims
            .iter()
            .map(|(name, value)| Claim {
                name: (*name).to_owned(),
                any_of: value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]),
            })
            .collect(),
        ..scheme()
    };
    let ours = json!({ "email": "ours@p.iam.gserviceaccount.com", "email_verified": true,
        "sub": "1", "level": 2, "groups": ["a", "b"], "at": { "zone": "x" } });
    for (claims, taken) in [
        (vec![], true),
        (vec![("email", json!("ours@p.iam.gserviceaccount.com"))], true),
        (vec![("email", json!("theirs@p.iam.gserviceaccount.com"))], false),
        (vec![("email", json!(["a@b", "ours@p.iam.gserviceaccount.com"]))], true),
        (vec![("email", json!("ours"))], false),
        (vec![("email_verified", json!(true)), ("sub", json!("1"))], true),
        (vec![("email_verified", json!("true"))], false),
        (vec![("email_verified", json!(false))], false),
        (vec![("sub", json!("1")), ("level", json!(3))], false),
        (vec![("level", json!([1, 2]))], true),
        (vec![("groups", json!("b"))], true),
        (vec![("groups", json!("c"))], false),
        (vec![("/at/zone", json!("x"))], true),
        (vec![("/at/zone", json!("y"))], false),
        (vec![("none", json!("x"))], false),
    ] {
        let scheme = demanding(&claims);
        let expected = if taken { with(0) } else { Err(Refusal::Mismatch) };
        assert_eq!(asked(&scheme, &token(ours.clone()), AT), expected, "{claims:?}");
        // Another's token is refused before any key is fetched.
        let url = JwtScheme { keys: JwtKeys::Url("https://issuer.example/k".into()), ..scheme };
        let headers = headers(&[("authorization", &format!("Bearer {}", token(ours.clone())))]);
        let verifier = Verifier::new(&Verify::Jwt(url));
        let wanted = verifier.wants(&Request::post(&headers, b""), AT);
        assert_eq!(wanted.is_ok(), taken, "{claims:?}");
    }
}

/// Some servers and editors put a byte order mark in front of JSON.
#[test]
fn regression_a_set_and_a_tokens_answer_may_begin_with_a_byte_order_mark() {
    let marked = format!("\u{feff}{}", vectors()["jwks"]);
    assert_eq!(jwks(marked.as_bytes()).unwrap().len(), set().len());
    let answer = "\u{feff}{\"access_token\":\"t\",\"note\":\"\\ud800\",\"n\":1e400}";
    assert_eq!(crate::Token::read(answer.as_bytes()).unwrap().authorization, "Bearer t");
}
