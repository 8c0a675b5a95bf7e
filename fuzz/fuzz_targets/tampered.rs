//! Requests signed as providers sign them, then changed in one byte: never verified where the change means something.
#![no_main]
use std::sync::LazyLock;

use hookwright_signing::{Draft, Verified};
use hookwright_tests::mutants::meaning;
use hookwright_tests::schemes::{AT, Case, check, received};
use libfuzzer_sys::fuzz_target;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(Case::all);

fuzz_target!(|input: (u8, Vec<u8>, u16, u8)| {
    let (number, body, place, mask) = input;
    let case = &CASES[usize::from(number) % CASES.len()];
    // A body of another shape is for those only who sign it as it stands.
    let body = Some(&*body).filter(|_| case.signs_body() && case.tolerance().is_none());
    let sent = case.sent(&Draft { id: "msg_1", at_s: AT, kind: None, body });
    let headers = received(&sent).expect("a provider's headers can be sent");
    let first = check(&case.verifier, &headers, &sent, AT);
    // A body that could be an answer to X's check is refused by itself.
    let Ok(Verified::Event { .. }) = first else {
        assert!(matches!(case.name.as_str(), "x" | "slack" | "zoom" | "twitch" | "discord"));
        return;
    };

    let mut changed = sent.clone();
    let mut place = usize::from(place);
    if let Some(byte) = changed.body.get_mut(place) {
        *byte ^= mask;
    } else {
        place -= changed.body.len();
        let names = case.headers();
        let mut values = changed.headers.iter_mut().filter(|(name, _)| names.contains(&&**name));
        let Some((_, value)) = values.next() else { return };
        let mut bytes = value.clone().into_bytes();
        let Some(byte) = bytes.get_mut(place) else { return };
        *byte ^= mask;
        let Ok(text) = String::from_utf8(bytes) else { return };
        *value = text;
    }
    // A byte that no header can carry never arrives.
    let Some(headers) = received(&changed) else { return };
    let taken = matches!(check(&case.verifier, &headers, &changed, AT), Ok(Verified::Event { .. }));
    if meaning(case, &changed) != meaning(case, &sent) {
        assert!(!taken, "{}: {sent:?} became {changed:?}", case.name);
    } else if changed == sent {
        assert!(taken, "{}: {sent:?}", case.name);
    }
});
