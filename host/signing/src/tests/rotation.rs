//! Several secrets, and the time in which each counts.
use super::*;

fn dated(text: &str, from_s: u64, until_s: u64) -> Credential {
    Credential { from_s, until_s, ..Secret::new(text).into() }
}

fn sent_by(secret: &str) -> HeaderMap {
    headers(&[("authorization", &format!("Bearer {secret}"))])
}

#[test]
fn a_secret_counts_from_its_first_second_to_before_its_last() {
    let secrets = [dated("old", 0, 200), dated("new", 100, u64::MAX)];
    let verifier = Verifier::new(&Verify::preset(&presets::BEARER, secrets));
    for (now, old, new) in [
        (0, with(0), Err(Refusal::Expired)),
        (99, with(0), Err(Refusal::Expired)),
        (100, with(0), with(1)),
        (199, with(0), with(1)),
        (200, Err(Refusal::Expired), with(1)),
    ] {
        assert_eq!(verify(&verifier, &sent_by("old"), b"", now), old, "{now}");
        assert_eq!(verify(&verifier, &sent_by("new"), b"", now), new, "{now}");
        let other = verify(&verifier, &sent_by("other"), b"", now);
        assert_eq!(other, Err(Refusal::Mismatch), "{now}");
    }
}

#[test]
fn a_signature_by_an_expired_secret_is_refused() {
    let key = Secret::new("k");
    let verify_with = |until_s| {
        let secrets = [Credential { until_s, ..key.clone().into() }];
        Verify::preset(&presets::GITHUB, secrets)
    };
    let draft = Draft { id: "1", at_s: AT, kind: None, body: Some(BODY) };
    let sent = sign_as_provider(&verify_with(u64::MAX), &draft).unwrap();
    let map = kit::map(&sent);
    let check = |until_s| verify(&Verifier::new(&verify_with(until_s)), &map, BODY, AT);
    assert_eq!(check(AT + 1), with(0));
    assert_eq!(check(AT), Err(Refusal::Expired));
}

#[test]
fn the_same_secret_twice_counts_while_one_of_them_does() {
    let secrets = [dated("same", 0, 100), dated("same", 100, 200)];
    let verifier = Verifier::new(&Verify::preset(&presets::BEARER, secrets));
    assert_eq!(verify(&verifier, &sent_by("same"), b"", 99), with(0));
    assert_eq!(verify(&verifier, &sent_by("same"), b"", 100), with(1));
    assert_eq!(verify(&verifier, &sent_by("same"), b"", 200), Err(Refusal::Expired));
}
