//! Requests from somebody who knows no secret: under no scheme verified, whatever headers, query and body hold.
#![no_main]
use std::sync::LazyLock;

use hookwright_signing::{Request, Verified};
use hookwright_tests::schemes::Case;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

static CASES: LazyLock<Vec<Case>> = LazyLock::new(Case::all);

fuzz_target!(|input: ([Option<Vec<u8>>; 3], String, u8, Vec<u8>, u64)| {
    let (values, query, method, body, now_s) = input;
    let methods = [Method::POST, Method::GET, Method::HEAD, Method::OPTIONS];
    let method = &methods[usize::from(method) % methods.len()];
    for case in CASES.iter() {
        let mut headers = HeaderMap::new();
        for (name, value) in case.headers().iter().zip(&values) {
            // A byte that no header can carry never arrives.
            if let Some(Ok(value)) = value.as_deref().map(HeaderValue::from_bytes) {
                headers.insert(name.parse::<HeaderName>().expect("a header's name"), value);
            }
        }
        let request = Request { method, query: Some(&query), headers: &headers, body: &body };
        let verified = case.verifier.verify(&request, now_s);
        let event = matches!(verified, Ok(Verified::Event { .. }));
        assert!(!event, "{}: {headers:?} {query}", case.name);
    }
});
