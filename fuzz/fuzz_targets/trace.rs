//! The headers of a trace: what is passed on is one that can be read, as it came, and bounded.
#![no_main]
use hookwright_model::trace::{TRACEPARENT, TRACESTATE, TRACESTATE_BYTES, pass_on};
use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<Vec<u8>>, Vec<Vec<u8>>)| {
    let (parents, states) = input;
    let mut from = HeaderMap::new();
    for (name, values) in [(TRACEPARENT, &parents), (TRACESTATE, &states)] {
        let values = values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok());
        for value in values.take(100) {
            from.append(name.clone(), value);
        }
    }
    let mut to = HeaderMap::new();
    pass_on(&from, &mut to);
    let Some(parent) = to.get(TRACEPARENT) else { return assert!(to.is_empty()) };
    assert_eq!(from.get(TRACEPARENT), Some(parent));
    let text = parent.to_str().expect("only ASCII is read");
    let parts: Vec<&str> = text.splitn(5, '-').collect();
    assert!(u128::from_str_radix(parts[1], 16).is_ok_and(|trace| trace > 0));
    assert!(u64::from_str_radix(parts[2], 16).is_ok_and(|parent| parent > 0));
    assert!(to.get_all(TRACESTATE).iter().map(HeaderValue::len).sum::<usize>() <= TRACESTATE_BYTES);
});
