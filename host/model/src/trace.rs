//! W3C Trace Context (<https://www.w3.org/TR/trace-context/>): what a source says of the trace that it is in.
use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that names the trace, the span above and whether it is sampled.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what tracing systems tell each other beside it.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Bytes of all `tracestate` headers together that are passed on; what is
/// longer is not (section 3.3.1.5 asks for at least so many).
pub const TRACESTATE_BYTES: usize = 512;
/// Of version 00: version, trace, parent and flags with dashes between.
const LENGTH: usize = 55;

/// What the source stands under in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace's id, never 0.
    pub trace: u128,
    /// The span's id, never 0: the parent of the host's own spans.
    pub span: u64,
    /// Whether the source takes its spans.
    pub sampled: bool,
}

/// What the headers say; none where they say nothing that can be read.
pub fn parent(headers: &HeaderMap) -> Option<Parent> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    match (parents.next(), parents.next()) {
        (Some(only), None) => read(only.as_bytes()),
        _ => None,
    }
}

/// Adds the context as it came. One that can't be read counts as none, and takes
/// its `tracestate` with it.
pub fn pass_on(from: &HeaderMap, to: &mut HeaderMap) {
    if parent(from).is_none() {
        return;
    }
    to.extend(from.get(TRACEPARENT).map(|parent| (TRACEPARENT, parent.clone())));
    let states = from.get_all(TRACESTATE);
    let bytes: usize = states.iter().map(HeaderValue::len).sum();
    if bytes <= TRACESTATE_BYTES {
        to.extend(states.iter().map(|state| (TRACESTATE, state.clone())));
    }
}

/// A trace and a parent, neither of them zero (section 3.2.2). A version to come
/// may say more at its end.
fn read(text: &[u8]) -> Option<Parent> {
    let (known, more) = text.split_at_checked(LENGTH)?;
    let mut parts = known.split(|byte| *byte == b'-');
    let mut hex = |length: usize| {
        let part = parts.next().filter(|part| part.len() == length)?;
        part.iter().try_fold(0u128, |number, byte| match byte {
            b'0'..=b'9' => Some(number << 4 | u128::from(byte - b'0')),
            b'a'..=b'f' => Some(number << 4 | u128::from(byte - b'a' + 10)),
            _ => None,
        })
    };
    let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
    let ends = more.is_empty() || (version > 0 && more[0] == b'-');
    let good = version != 0xff && trace > 0 && span > 0 && ends;
    good.then_some(Parent { trace, span: span as u64, sampled: flags & 1 == 1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn passed(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        let mut from = HeaderMap::new();
        for (name, value) in pairs {
            from.append(name, HeaderValue::from_str(value).unwrap());
        }
        let mut to = HeaderMap::new();
        pass_on(&from, &mut to);
        to
    }

    #[test]
    fn the_specifications_example_goes_on_as_it_came() {
        let state = "congo=t61rcWkgMzE";
        let to = passed(&[(TRACEPARENT, GOOD), (TRACESTATE, state), (TRACESTATE, "rojo=1")]);
        assert_eq!(to[TRACEPARENT], GOOD);
        assert_eq!(to.get_all(TRACESTATE).iter().collect::<Vec<_>>(), [state, "rojo=1"]);
    }

    #[test]
    fn what_can_not_be_read_counts_as_none_and_its_state_too() {
        let zeros = "0".repeat(32);
        for bad in [
            "",
            &GOOD[..54],
            &GOOD.to_uppercase(),
            &format!("{GOOD}-more"),
            &format!("ff{}", &GOOD[2..]),
            &format!("00-{zeros}-00f067aa0ba902b7-01"),
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
        ] {
            assert!(passed(&[(TRACEPARENT, bad), (TRACESTATE, "a=1")]).is_empty(), "{bad}");
        }
        assert!(passed(&[(TRACEPARENT, GOOD), (TRACEPARENT, GOOD)]).is_empty(), "two of them");
        assert!(passed(&[(TRACESTATE, "a=1")]).is_empty());
        let later = format!("01{}-more", &GOOD[2..]);
        assert_eq!(passed(&[(TRACEPARENT, &later)])[TRACEPARENT], later, "a version to come");
    }

    #[test]
    fn a_state_without_end_stays_behind() {
        let long = "a".repeat(TRACESTATE_BYTES + 1);
        let to = passed(&[(TRACEPARENT, GOOD), (TRACESTATE, &long)]);
        assert!(to.contains_key(TRACEPARENT) && !to.contains_key(TRACESTATE));
    }

    proptest! {
        #[test]
        fn every_trace_of_version_00_is_read(trace in 1u128.., parent in 1u64.., flags: u8) {
            let text = format!("00-{trace:032x}-{parent:016x}-{flags:02x}");
            let sampled = flags % 2 == 1;
            prop_assert_eq!(read(text.as_bytes()), Some(Parent { trace, span: parent, sampled }));
        }

        #[test]
        fn nothing_else_of_that_length_is(text in "[0-9a-fA-F-]{55}") {
            let parts: Vec<_> = text.split('-').map(str::len).collect();
            prop_assume!(parts != [2, 32, 16, 2]);
            prop_assert!(read(text.as_bytes()).is_none());
        }
    }
}
