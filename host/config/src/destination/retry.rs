//! `retry` of a destination: when a failed delivery is tried again.
use std::time::Duration;

use super::super::access::is_empty_list;
use super::super::kind::{DURATION, List, Number, Sequence, Text, whole};
use super::super::reader::Section;
use super::super::unit::{Fault, quote};
use hookwright_model::retry::{BadEnd, End, Never, Policy};

const END: Text<End> = Text {
    name: "`\"404\"`, `\"4xx\"`, `\"400-407\"`, `\"tls\"`",
    example: "[\"404\"]",
    unit: "",
    parse: |text| {
        text.parse().map_err(|error: BadEnd| {
            let help = "write a status, a class, a range, or one of `dns`, `refused`, `connect`, `tls`, `timeout`, `protocol`, `credentials`";
            Fault::new(format!("{} {error}", quote(text)), help)
        })
    },
};

/// The longest wait that the settings take.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

pub(super) fn read(s: &Section<'_, '_>) -> Policy {
    let mut policy = Policy {
        base: s.key("base", DURATION, "The first wait.").range("10ms", "1d").default("1s"),
        factor: s.key("factor", Number, "From wait to wait.").range("1", "100").default("2"),
        cap: s.key("cap", DURATION, "The longest wait.").range("10ms", "30d").default("1h"),
        jitter: s
            .key("jitter", Number, "How far a wait is spread, as a share of it.")
            .range("0", "1")
            .default("0.2"),
        attempts: s
            .key("attempts", whole(), "The most attempts in all; after them the delivery is dead.")
            .range("1", "1000")
            .default("16"),
        first: s
            .key("first", DURATION, "From acceptance to the first attempt.")
            .range("0s", "30d")
            .default("0s"),
        ..Policy::default()
    };
    let doc = "The waits themselves, instead of `base`, `factor`, `cap`, `attempts` and `first`: from acceptance to the first attempt, then after each failure, as `[\"0s\", \"5s\", \"5m\", \"30m\", \"2h\"]`. After the last of them the delivery is dead.";
    let schedule = s.key("schedule", Sequence(DURATION), doc).optional("none");
    let doc = "The age, counted from acceptance, after which no attempt is begun. A replay is attempted whatever its age.";
    policy.max_age = s.key("max_age", DURATION, doc).range("1s", "365d").optional("no limit");
    let doc = "Not to be tried again: statuses, classes or ranges of them, and causes of failures (`dns`, `refused`, `connect`, `tls`, `timeout`, `protocol`, `credentials`).";
    policy.never = Never(s.key("never", List(END), doc).default("[]"));
    if let Some(schedule) = schedule {
        s.only(&["schedule", "jitter", "max_age", "never"], "a `schedule`");
        follow(s, &mut policy, schedule);
    } else if policy.cap < policy.base {
        let help = "make `cap` at least as long as `base`";
        s.wrong("cap", Fault::new("the longest wait is shorter than the first", help));
    }
    policy
}

fn follow(s: &Section<'_, '_>, policy: &mut Policy, schedule: Vec<Duration>) {
    if is_empty_list(s, "schedule") {
        let help = "begin with the wait before the first attempt, `[\"0s\"]`";
        s.wrong("schedule", Fault::new("is empty: nothing would be tried", help));
    }
    if schedule.len() > 1_000 || schedule.iter().any(|wait| *wait > LONGEST) {
        let help = "write at most 1000 waits of at most 30d each";
        s.wrong("schedule", Fault::new("out of range", help));
    }
    let mut waits = schedule.into_iter();
    policy.first = waits.next().unwrap_or_default();
    policy.schedule = waits.collect();
    // One attempt more than there are waits; for a list of one, no formula counts.
    policy.attempts = u32::try_from(policy.schedule.len()).unwrap_or(u32::MAX).saturating_add(1);
}
