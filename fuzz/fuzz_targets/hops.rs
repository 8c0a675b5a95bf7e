//! Any `hookwright-hops`: counts for nothing where the host did not write it, and what is passed on is bounded.
#![no_main]
use std::sync::LazyLock;

use hookwright_signing::Secret;
use hookwright_signing::hops::Hops;
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

static HOPS: LazyLock<Hops> = LazyLock::new(|| Hops::new(&Secret::new("nobody knows it"), 1));

fuzz_target!(|values: Vec<Vec<u8>>| {
    let mut came = HeaderMap::new();
    for value in values.iter().take(100) {
        if let Ok(value) = HeaderValue::from_bytes(value) {
            came.append("hookwright-hops", value);
        }
    }
    assert!(HOPS.check(&came).is_ok(), "{came:?}");
    let mut sent = HeaderMap::new();
    HOPS.apply(&came, &mut sent);
    assert!(sent["hookwright-hops"].len() < 800, "{sent:?}");
    assert!(HOPS.check(&sent).is_err(), "the host knows its own");
});
