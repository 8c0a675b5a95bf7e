//! `retry` of a destination: when a failed delivery is tried again.
use super::super::kind::{DURATION, Number, whole};
use super::super::reader::Section;
use super::super::unit::Fault;
use crate::retry::Policy;

pub(super) fn read(s: &Section<'_, '_>) -> Policy {
    let policy = Policy {
        base: s.key("base", DURATION, "The first wait.").range("10ms", "1d").default("1s"),
        factor: s.key("factor", Number, "From wait to wait.").range("1", "100").default("2"),
        cap: s.key("cap", DURATION, "The longest wait.").range("10ms", "30d").default("1h"),
        jitter: s
            .key("jitter", Number, "How far a wait is spread, as a share of it.")
            .range("0", "1")
            .default("0.2"),
        attempts: s
            .key("attempts", whole(), "In all; after them the delivery is dead.")
            .range("1", "1000")
            .default("16"),
        first: s
            .key("first", DURATION, "From acceptance to the first attempt.")
            .range("0s", "30d")
            .default("0s"),
    };
    if policy.cap < policy.base {
        let help = "make `cap` at least as long as `base`";
        s.wrong("cap", Fault::new("the longest wait is shorter than the first", help));
    }
    policy
}
