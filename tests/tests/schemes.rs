//! Every scheme of the table: known answers that are not of our making, and nothing else is believed.
use std::collections::BTreeSet;

use hookwright_model::form;
use hookwright_signing::{
    Credential, Draft, Format, Key, Place, Refusal, Sign, Signer, Verified, Verifier, Verify,
    formats, presets,
};
use hookwright_tests::mutants::{self, Dice};
use hookwright_tests::schemes::{AT, Case, check, received};
use hookwright_tests::vectors::{self, Vector};

fn verdict(vector: &Vector, at_s: u64) -> Result<Verified, Refusal> {
    let headers = received(&vector.sent).expect("headers");
    check(&Verifier::new(&vector.verify), &headers, &vector.sent, at_s)
}

fn draft(id: &str) -> Draft<'_> {
    Draft { id, at_s: AT, kind: None, body: None }
}

#[test]
fn known_answers_of_every_provider_are_taken() {
    let mut seen = BTreeSet::new();
    for vector in vectors::all() {
        let taken = verdict(&vector, vector.at_s);
        assert_eq!(taken, Ok(Verified::Event { secret: Some(0) }), "{vector:?}");
        seen.insert(vector.scheme);
    }
    for preset in presets::ALL {
        assert!(seen.contains(preset.name), "`{}` has no known answer", preset.name);
    }
}

/// Shopify's id was once that of the event, which several deliveries have.
#[test]
fn regression_kind_and_id_are_where_the_providers_packages_find_them() {
    let mut found = 0;
    for vector in vectors::all() {
        let Verify::Preset(scheme) = &vector.verify else { panic!("a preset") };
        let headers = received(&vector.sent).expect("headers");
        let json = serde_json::from_slice(&vector.sent.body).unwrap_or(serde_json::Value::Null);
        let look = |place: Option<Place>| match place? {
            Place::Header(names) => {
                let value = names.iter().find_map(|name| headers.get(*name))?;
                value.to_str().ok().map(str::to_owned)
            }
            Place::Json(pointer) => json.pointer(pointer)?.as_str().map(str::to_owned),
            Place::Form(field) => {
                let value = form::field(&headers, &vector.sent.body, field).first()?;
                String::from_utf8(value.into_owned()).ok()
            }
            Place::HeaderIs(name, value) => {
                headers.get(name).filter(|it| *it == value).map(|_| value.to_owned())
            }
            Place::First(_) | Place::Entry(_) => None,
        };
        let look = |place: Option<Place>| match place? {
            Place::First(places) => places.iter().find_map(|it| look(Some(*it))),
            place => look(Some(place)),
        };
        let places = [(&vector.kind, scheme.preset.kind), (&vector.id, scheme.preset.id)];
        for (known, place) in places.into_iter().filter(|(known, _)| known.is_some()) {
            assert_eq!(&look(place), known, "{}: {}", vector.scheme, vector.origin);
            found += 1;
        }
    }
    assert!(found > 8, "{found}");
}

/// The formats in which deliveries are signed make the same answers.
#[test]
fn what_signs_deliveries_makes_the_known_answers() {
    let mut seen = BTreeSet::new();
    for vector in vectors::all() {
        let Verify::Preset(scheme) = &vector.verify else { panic!("a preset") };
        let preset = scheme.preset;
        let (Some(format), Key::Shared(secret)) = (Format::of(preset), &scheme.secrets[0].key)
        else {
            continue;
        };
        let headers = received(&vector.sent).expect("headers");
        let id = match preset.id {
            Some(Place::Header(names)) => names.iter().find_map(|name| headers.get(*name)),
            _ => None,
        };
        let id = id.map_or("", |id| id.to_str().expect("text"));
        let sign = Sign { format, keys: vec![secret.clone().into()] };
        let made = Signer::new(Some(&sign)).sign(id, vector.at_s, &vector.sent.body);
        let made = made.expect("a key counts").expect("it signs");
        let known = |value: &http::HeaderValue| value.as_bytes().ends_with(made.as_bytes());
        assert!(headers.values().any(known), "{}: {made:?}\n{vector:?}", vector.scheme);
        seen.insert(preset.name);
    }
    for preset in formats() {
        assert!(seen.contains(preset.name), "`{}` has no known answer", preset.name);
    }
}

#[test]
fn a_known_answer_to_another_secret_or_time_is_refused() {
    for vector in vectors::all() {
        let Verify::Preset(scheme) = &vector.verify else { panic!("a preset") };
        if let Some(time) = scheme.preset.time {
            for at_s in [vector.at_s - time.tolerance_s - 1, vector.at_s + time.tolerance_s + 1] {
                assert_eq!(verdict(&vector, at_s), Err(Refusal::Stale), "{}", vector.scheme);
            }
        }
        let Verify::Preset(mut other) = Case::of(scheme.preset, 250).verify else { panic!() };
        other.url.clone_from(&scheme.url);
        let vector = Vector { verify: Verify::Preset(other), ..vector };
        // A signature of the other kind is not one of the key's form.
        let refused = verdict(&vector, vector.at_s);
        let wrong = matches!(refused, Err(Refusal::Mismatch | Refusal::Malformed));
        assert!(wrong, "{}: {}: {refused:?}", vector.scheme, vector.origin);
    }
}

#[test]
fn what_a_provider_would_send_is_taken_and_any_of_several_secrets_may_have_signed() {
    for case in Case::all() {
        let sent = case.sent(&draft("msg_1"));
        let headers = received(&sent).expect("headers");
        let taken = check(&case.verifier, &headers, &sent, AT);
        assert_eq!(taken, Ok(Verified::Event { secret: Some(0) }), "{}: {sent:?}", case.name);

        let Verify::Preset(mut scheme) = case.verify.clone() else { continue };
        let other = Case::of(scheme.preset, 77).verify.secrets()[0].clone();
        scheme.secrets.insert(0, other);
        let taken = check(&Verifier::new(&Verify::Preset(scheme.clone())), &headers, &sent, AT);
        assert_eq!(taken, Ok(Verified::Event { secret: Some(1) }), "{}", case.name);

        let last = scheme.secrets.remove(1);
        scheme.secrets.push(Credential { until_s: AT, ..last });
        let expired = check(&Verifier::new(&Verify::Preset(scheme)), &headers, &sent, AT);
        assert_eq!(expired, Err(Refusal::Expired), "{}", case.name);
    }
}

#[test]
fn a_header_that_is_missing_repeated_or_malformed_is_refused() {
    for case in Case::all() {
        let sent = case.sent(&draft("msg_1"));
        let headers = received(&sent).expect("headers");
        for name in case.headers() {
            let Some(value) = headers.get(name) else { continue };
            let verdict = |change: &dyn Fn(&mut http::HeaderMap)| {
                let mut headers = headers.clone();
                change(&mut headers);
                check(&case.verifier, &headers, &sent, AT)
            };
            let name = name.parse::<http::HeaderName>().expect("a name");
            let missing = verdict(&|headers| drop(headers.remove(&name)));
            assert_eq!(missing, Err(Refusal::Missing), "{}: no {name}", case.name);
            let twice = verdict(&|headers| {
                headers.append(&name, value.clone());
            });
            assert_eq!(twice, Err(Refusal::Malformed), "{}: {name} twice", case.name);
            for text in [
                "",
                " ",
                ",",
                "=",
                "sha256=",
                "v1,",
                "t=,v1=",
                "é",
                "v1=zz",
                "9".repeat(99).as_str(),
            ] {
                let bytes = http::HeaderValue::from_bytes(text.as_bytes()).expect("a value");
                let other = verdict(&|headers| drop(headers.insert(&name, bytes.clone())));
                assert!(other.is_err(), "{}: {name}: {text}", case.name);
            }
        }
    }
}

#[test]
fn a_flipped_byte_anywhere_in_what_is_signed_is_refused() {
    for case in Case::all().iter().filter(|case| case.signs_body()) {
        let sent = case.sent(&draft("msg_1"));
        let headers = received(&sent).expect("headers");
        for place in 0..sent.body.len() {
            let mut changed = sent.clone();
            changed.body[place] ^= 1;
            let refused = check(&case.verifier, &headers, &changed, AT);
            assert!(refused.is_err(), "{}: {changed:?}", case.name);
        }
    }
}

#[test]
fn changed_requests_are_accepted_under_no_scheme() {
    let tally = mutants::run(&Case::all(), 20_000, &mut Dice(1));
    assert_eq!(tally.accepted, [] as [String; 0]);
    // None of these schemes has dated secrets, or keys to be fetched.
    let others = [Refusal::Expired, Refusal::NoKeys];
    for reason in Refusal::ALL.iter().filter(|reason| !others.contains(reason)) {
        let seen = tally.reasons.get(reason.as_str()).copied().unwrap_or_default();
        assert!(seen > 100, "{reason:?} in {:?}", tally.reasons);
    }
}
