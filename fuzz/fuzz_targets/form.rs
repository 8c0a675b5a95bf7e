//! Forms of both sorts: a field is found or not, and what is lent lies in the body.
#![no_main]
use hookwright_model::form::{Field, field};
use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u8>, Vec<u8>, String)| {
    let (content_type, body, name) = input;
    let given = HeaderValue::from_bytes(&content_type).ok();
    let known = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b"];
    let known = known.map(HeaderValue::from_static);
    for value in known.into_iter().chain(given) {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, value);
        if let Field::One(value) | Field::Several(value) = field(&headers, &body, &name) {
            assert!(value.len() <= body.len());
        }
    }
});
