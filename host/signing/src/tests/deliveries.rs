//! How deliveries are signed: every format is taken by its own verification.
use super::*;

/// From the documentation and tests of svix-server.
const PRIVATE: &str =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const KNOWN_V1A: &str =
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

fn private() -> SigningKey {
    KeyForm::Standard.read_signing(PRIVATE.as_bytes()).unwrap()
}

fn all_headers(sign: &Sign, at: u64) -> Result<HeaderMap, NoKey> {
    let mut headers = headers(&[("webhook-id", ID), ("webhook-timestamp", &at.to_string())]);
    Signer::new(Some(sign)).apply(&mut headers, ID, at, BODY)?;
    Ok(headers)
}

#[test]
fn a_private_key_makes_the_known_answer_and_its_public_half_takes_it() {
    let sign = Sign::standard([private()]);
    let sent = all_headers(&sign, AT).unwrap();
    assert_eq!(sent["webhook-signature"], KNOWN_V1A);
    let key = KeyForm::Standard.read(PUBLIC.as_bytes()).unwrap();
    let verifier = Verifier::new(&Verify::preset(&presets::STANDARD, [key]));
    assert_eq!(verify(&verifier, &sent, BODY, AT), with(0));
    assert!(verify(&verifier, &sent, b"{}", AT).is_err());
}

#[test]
fn several_keys_sign_side_by_side_in_the_order_of_the_settings() {
    let sent = all_headers(&Sign::standard([key().into(), private()]), AT).unwrap();
    assert_eq!(sent["webhook-signature"], format!("{KNOWN} {KNOWN_V1A}"));
}

#[test]
fn a_key_signs_only_in_its_time_and_without_any_nothing_is_sent() {
    let old = Credential { until_s: AT + 10, ..Credential::from(key()) };
    let new = Credential { from_s: AT, until_s: AT + 20, key: private() };
    let sign = Sign::standard([old, new]);
    let count = |at| {
        all_headers(&sign, at).map(|sent| {
            let text = sent["webhook-signature"].to_str().unwrap();
            (text.contains("v1,"), text.contains("v1a,"))
        })
    };
    assert_eq!(count(AT - 1), Ok((true, false)));
    assert_eq!(count(AT), Ok((true, true)));
    assert_eq!(count(AT + 10), Ok((false, true)));
    assert_eq!(count(AT + 20), Err(NoKey));
    assert_eq!(all_headers(&Sign::standard([] as [SigningKey; 0]), AT), Err(NoKey));
}

#[test]
fn every_format_is_taken_by_the_verification_of_its_provider() {
    let names: Vec<&str> = formats().map(|preset| preset.name).collect();
    for wanted in ["standard", "svix", "github", "stripe", "slack", "shopify", "zendesk", "twitch"]
    {
        assert!(names.contains(&wanted), "{names:?}");
    }
    for other in ["twilio", "square", "discord", "sendgrid", "basic", "clerk", "mailgun"] {
        assert!(!names.contains(&other), "{names:?}");
    }
    for preset in formats() {
        let secrets = || [Secret::new([1; 32]), Secret::new([2; 32])];
        let keys = secrets().map(Credential::<SigningKey>::from).to_vec();
        let sign = Sign { format: Format::of(preset).unwrap(), keys };
        let sent = all_headers(&sign, AT).unwrap();
        let several = ["standard", "svix", "stripe", "pagerduty"].contains(&preset.name);
        for (secret, taken) in secrets().into_iter().zip([true, several]) {
            let verifier = Verifier::new(&Verify::preset(preset, [secret]));
            let answer = verify(&verifier, &sent, BODY, AT);
            if taken {
                assert_eq!(answer, with(0), "{}: {sent:?}", preset.name);
                assert!(verify(&verifier, &sent, b"{ }", AT).is_err(), "{}", preset.name);
            } else {
                assert_eq!(answer, Err(Refusal::Mismatch), "{}: {sent:?}", preset.name);
            }
        }
    }
}

/// No scheme wrote `svix-*`, and the packages of Clerk and Privy read nothing else.
/// The signature is that of npm svix 1.99.1 in `tests/vectors/sdk.json`.
#[test]
fn regression_a_receiver_that_reads_only_svix_headers_gets_them() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/sdk.json")).unwrap();
    let vector = vectors.as_array().unwrap().iter().find(|one| one["scheme"] == "svix").unwrap();
    let secret = standard_key(vector["secret"].as_str().unwrap()).unwrap();
    let keys = vec![Credential::<SigningKey>::from(secret)];
    let sign = Sign { format: Format::of(&presets::SVIX).unwrap(), keys };
    let names: Vec<&str> = sign.format.headers().map(HeaderName::as_str).collect();
    assert_eq!(names, ["svix-signature", "svix-timestamp", "svix-id"]);
    let signer = Signer::new(Some(&sign));
    let mut headers = HeaderMap::new();
    let body = vector["body"].as_str().unwrap().as_bytes();
    signer.apply(&mut headers, "msg_1", vector["at"].as_u64().unwrap(), body).unwrap();
    for name in names {
        assert_eq!(headers[name], vector["headers"][name].as_str().unwrap(), "{name}");
    }
    assert!(Format::of(&presets::CLERK).is_some() && !headers.contains_key("webhook-signature"));
}

/// Paddle's package for JavaScript takes the last `h1` of a header: with two keys
/// it refused what the first had signed.
#[test]
fn regression_a_receiver_that_reads_one_signature_gets_one() {
    for preset in [&presets::PADDLE, &presets::CALENDLY] {
        let keys = [Secret::new("new"), Secret::new("old")].map(Credential::<SigningKey>::from);
        let format = Format::of(preset).unwrap();
        let one = |keys: &[Credential<SigningKey>]| {
            let sign = Sign { format: format.clone(), keys: keys.to_vec() };
            Signer::new(Some(&sign)).sign(ID, AT, BODY).unwrap().unwrap()
        };
        assert_eq!(one(&keys), one(&keys[..1]), "{}", preset.name);
        assert_ne!(one(&keys), one(&keys[1..]), "{}", preset.name);
    }
}

#[test]
fn an_hmac_is_signed_as_its_templates_say() {
    let format = |signed: &str, value: &str| {
        Format::hmac(
            HeaderName::from_static("x-own"),
            Algorithm::Sha256,
            Encoding::Hex,
            Template::signed(signed).unwrap(),
            Template::value(value).unwrap(),
        )
    };
    let value = |format: Format, key: &str, body: &[u8]| {
        let sign = Sign { format, keys: vec![Secret::new(key).into()] };
        let signed = Signer::new(Some(&sign)).sign(ID, AT, body).unwrap().unwrap();
        signed.to_str().unwrap().to_owned()
    };
    // RFC 4231, test case 2.
    let known = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let body = b"what do ya want for nothing?";
    assert_eq!(value(format("{body}", "{signature}"), "Jefe", body), known);
    assert_eq!(
        value(format("{body}", "sha256={signature}"), "Jefe", body),
        format!("sha256={known}")
    );
    // openssl: printf '1614265330.{"test": 2432232314}' | openssl dgst -sha256 -hmac whsec_literal
    let known = "f6b50050a1a8fac9bfa2047e94329cd254b712e990fcfdc2c266ee1e40038326";
    let made = format("{timestamp}.{body}", "t={timestamp},i={id},v1={signature}");
    assert_eq!(value(made, "whsec_literal", BODY), format!("t={AT},i={ID},v1={known}"));
}
