//! AWS SNS and PayPal: requests signed with a certificate of ours. AWS's own `sns-validator` 0.3.5 takes the SNS ones.
use std::time::Duration;

use http::HeaderMap;
use serde_json::Value;

use super::super::*;

const NOW: u64 = 1_800_000_000;
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:orders";

fn vectors() -> Value {
    serde_json::from_str(include_str!("../testdata/certified.json")).unwrap()
}

fn verifier(issuer: Issuer) -> Verifier {
    let tolerance = Duration::from_secs(3_600);
    Verifier::new(&Verify::Certified(CertifiedScheme { issuer, tolerance }))
}

fn sns() -> Verifier {
    verifier(Issuer::Sns { topics: vec![TOPIC.to_owned()] })
}

fn fetched(verifier: &Verifier) -> Fetched {
    verifier.read(vectors()["cert"].as_str().unwrap().as_bytes()).unwrap()
}

fn check(verifier: &Verifier, body: &str, now_s: u64) -> Result<Verified, Refusal> {
    let headers = HeaderMap::new();
    let request = Request::post(&headers, body.as_bytes());
    verifier.verify_with(&request, now_s, Some(&fetched(verifier)))
}

#[test]
fn notifications_of_both_versions_are_taken_and_confirmations_name_their_url() {
    let vectors = vectors();
    for name in ["notification-1", "notification-2", "no-subject"] {
        let taken = check(&sns(), vectors[name].as_str().unwrap(), NOW);
        assert_eq!(taken, Ok(Verified::Event { secret: Some(0) }), "{name}");
    }
    let taken = check(&sns(), vectors["confirmation"].as_str().unwrap(), NOW);
    let Ok(Verified::Confirm(url)) = taken else { panic!("{taken:?}") };
    assert!(url.starts_with("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&"));
}

#[test]
fn whatever_is_changed_is_refused() {
    let vectors = vectors();
    let body = vectors["notification-2"].as_str().unwrap();
    let other = verifier(Issuer::Sns { topics: vec![format!("{TOPIC}-of-another")] });
    assert_eq!(check(&other, body, NOW), Err(Refusal::Mismatch), "another's topic");
    assert_eq!(check(&sns(), body, NOW + 3_601), Err(Refusal::Stale));
    assert_eq!(check(&sns(), body, 4_000_000_000 * 2), Err(Refusal::Expired), "the certificate");
    for (from, to) in [
        ("first", "second"),
        ("grüße", "gruesse"),
        ("165545c9", "265545c9"),
        ("\"2\"", "\"1\""),
        ("\"2\"", "\"3\""),
        ("Notification\"", "SubscriptionConfirmation\""),
    ] {
        let changed = body.replacen(from, to, 1);
        assert_ne!(changed, body);
        assert!(check(&sns(), &changed, NOW).is_err(), "{from} → {to}");
    }
    let headers = HeaderMap::new();
    let request = Request::post(&headers, body.as_bytes());
    assert_eq!(sns().verify(&request, NOW), Err(Refusal::NoKeys));
}

/// Whoever posts names the URL; only the provider's hosts are fetched from.
#[test]
fn a_certificate_from_elsewhere_is_not_wanted() {
    let vectors = vectors();
    let body = vectors["notification-1"].as_str().unwrap();
    let wants = |url: &str| {
        let from = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";
        let body = body.replace(from, url);
        let headers = HeaderMap::new();
        let request = Request::post(&headers, body.as_bytes());
        sns().wants(&request, NOW).map(|wanted| wanted.map(|wanted| wanted.url.into_owned()))
    };
    for good in [
        "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/a.pem",
    ] {
        assert_eq!(wants(good), Ok(Some(good.to_owned())));
    }
    for bad in [
        "http://sns.us-east-1.amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com.example.com/a.pem",
        "https://sns.us-east-1.amazonaws.com:8443/a.pem",
        "https://sns.us-east-1.amazonaws.com@example.com/a.pem",
        "https://example.com/sns.us-east-1.amazonaws.com/a.pem",
        "https://s3.amazonaws.com/bucket/a.pem",
        "https://sns.a.b.amazonaws.com/a.pem",
        "https://sns..amazonaws.com/a.pem",
        "https://sns.us-east-1.amazonaws.com/a.txt",
        // One certificate has one URL, so that nobody fills the cache with others for it.
        "https://sns.us-east-1.amazonaws.com/a.pem?b=1",
        "https://sns.us-east-1.amazonaws.com/a.pem?b=.pem",
        "https://sns.us-east-1.amazonaws.com/a.pem#b.pem",
        "https://sns.us-east-1.amazonaws.com//a.pem",
        "https://sns.us-east-1.amazonaws.com/b/../a.pem",
        "https://sns.us-east-1.amazonaws.com/%61.pem",
        "https://SNS.us-east-1.amazonaws.com/a.pem",
        "HTTPS://sns.us-east-1.amazonaws.com/a.pem",
        "https://169.254.169.254/a.pem",
        "/a.pem",
        "",
    ] {
        assert_eq!(wants(bad), Err(Refusal::Malformed), "{bad}");
    }
}

#[test]
fn paypal_signs_id_time_webhook_and_checksum() {
    let vectors = vectors();
    let own = &vectors["paypal"];
    let of = |name: &str| own[name].as_str().unwrap().to_owned();
    let verifier = verifier(Issuer::PayPal { webhook_id: of("webhook") });
    let check = |change: &dyn Fn(&mut HeaderMap), body: &str| {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("paypal-transmission-id", of("id")),
            ("paypal-transmission-time", of("time")),
            ("paypal-transmission-sig", of("sig")),
            ("paypal-auth-algo", "SHA256withRSA".to_owned()),
            ("paypal-cert-url", "https://api.paypal.com/v1/notifications/certs/CERT-1".to_owned()),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        change(&mut headers);
        let request = Request::post(&headers, body.as_bytes());
        verifier.wants(&request, NOW)?;
        verifier.verify_with(&request, NOW, Some(&fetched(&verifier)))
    };
    let nothing = |_: &mut HeaderMap| {};
    assert_eq!(check(&nothing, &of("body")), Ok(Verified::Event { secret: Some(0) }));
    assert_eq!(check(&nothing, &of("body").replace("0.48", "0.84")), Err(Refusal::Mismatch));
    let set = |name: &'static str, value: &'static str| {
        move |headers: &mut HeaderMap| drop(headers.insert(name, value.parse().unwrap()))
    };
    let body = of("body");
    assert_eq!(check(&set("paypal-transmission-id", "other"), &body), Err(Refusal::Mismatch));
    assert_eq!(check(&set("paypal-auth-algo", "MD5withRSA"), &body), Err(Refusal::Malformed));
    let elsewhere = set("paypal-cert-url", "https://api.paypal.com.example.com/cert");
    assert_eq!(check(&elsewhere, &body), Err(Refusal::Malformed));
    let gone = |headers: &mut HeaderMap| drop(headers.remove("paypal-transmission-sig"));
    assert_eq!(check(&gone, &body), Err(Refusal::Missing));
}

#[test]
fn what_is_no_certificate_with_an_rsa_key_is_of_no_use() {
    for text in [&b""[..], b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"{}"]
    {
        assert!(sns().read(text).is_none());
    }
}

/// Strangers' messages cost a fetch each, and the own topic's were answered 503 then.
#[test]
fn regression_what_can_not_be_the_sources_own_costs_no_fetch() {
    let vectors = vectors();
    let body = vectors["notification-1"].as_str().unwrap();
    let wants = |body: &str, now_s: u64| {
        let headers = HeaderMap::new();
        sns().wants(&Request::post(&headers, body.as_bytes()), now_s).map(|it| it.is_some())
    };
    assert_eq!(wants(body, NOW), Ok(true));
    let foreign = body.replace(TOPIC, "arn:aws:sns:eu-west-1:999999999999:orders");
    assert_eq!(wants(&foreign, NOW), Err(Refusal::Mismatch), "a foreign topic");
    assert_eq!(wants(body, NOW + 3_601), Err(Refusal::Stale));
    for (from, to, refusal) in [
        ("\"SignatureVersion\": \"1\"", "\"SignatureVersion\": \"3\"", Refusal::Malformed),
        ("\"Signature\": \"", "\"Signature\": \"!", Refusal::Malformed),
        ("\"Signature\": \"", "\"Signature\": \"AAAA\", \"x\": \"", Refusal::Malformed),
        ("\"MessageId\"", "\"id\"", Refusal::Missing),
        ("\"Notification\"", "\"Other\"", Refusal::Malformed),
    ] {
        let changed = body.replacen(from, to, 1);
        assert_ne!(changed, body);
        assert_eq!(wants(&changed, NOW), Err(refusal), "{from} → {to}");
    }
}
