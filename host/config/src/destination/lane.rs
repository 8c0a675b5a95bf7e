//! How a destination's lane treats it: what it takes for ill, and what it does then.
use std::time::Duration;

use super::super::kind::{Choice, DURATION, Flag, PERCENT, SIZE, whole};
use super::super::reader::Section;
use super::super::unit::{Fault, in_memory};
use hookwright_model::Order;
use hookwright_settings::{Batch, Breaker, Format};

const ORDER: Choice<Option<Order>> =
    Choice(&[("none", None), ("source", Some(Order::Source)), ("key", Some(Order::Key))]);

const FORMAT: Choice<Format> = Choice(&[("array", Format::Array), ("lines", Format::Lines)]);

pub(super) fn order(s: &Section<'_, '_>) -> Option<Order> {
    let doc = "Which deliveries are made one after the other, in the order in which their events were accepted: `source`, all of one source; `key`, those of one source to which a plugin gave the same order key. A delivery that is being retried holds up those behind it, and others continue; a dead delivery lets the next one go.";
    s.key("order", ORDER, doc).default("none")
}

pub(super) fn batch(s: &Section<'_, '_>, order: Option<Order>) -> Option<Batch> {
    let doc = "Gathers deliveries of one source into one request, signed as one. Each on its own by default.";
    let batch = s.optional_section("batch", doc, |s| Some(batch_of(s)));
    if batch.is_some() && order == Some(Order::Source) {
        let message =
            "of one source only one delivery is due at a time, so none would have company";
        let help = "use `order = \"key\"` or `\"none\"`, or remove `batch`";
        s.wrong("batch", Fault::new(message, help));
    }
    batch
}

fn batch_of(s: &Section<'_, '_>) -> Batch {
    let doc = "The most deliveries in one request.";
    let events = s.key("events", whole(), doc).range("1", "1000").default("100");
    let doc = "How long the first waits for others.";
    let wait = s.key("wait", DURATION, doc).range("1ms", "10m").default("1s");
    let doc = "The largest body of a request; a delivery that is larger by itself goes alone. Where the destination answers 413 to a smaller body, smaller ones are sent.";
    let size = s.key("size", SIZE, doc).range("1KiB", "64MiB").default("1MiB");
    let doc = "`array`: one JSON array. `lines`: a JSON object in each line.";
    let format = s.key("format", FORMAT, doc).default("array");
    Batch { events, wait, bytes: in_memory(size), format }
}

pub(super) fn adaptive(s: &Section<'_, '_>) -> bool {
    let doc = "Whether fewer requests are sent at the same time, down to 1, and none for a moment, where the destination answers 429, 502 or 504, asks for it by `retry-after`, or times out. Successes lead back to `in_flight`.";
    s.key("adaptive", Flag, doc).default("true")
}

pub(super) fn breaker(s: &Section<'_, '_>) -> Option<Breaker> {
    let doc = "When a failing destination is left alone for a while: deliveries wait, and their attempts are not used up.";
    s.section("breaker", doc, breaker_of)
}

pub(super) fn disable_after(s: &Section<'_, '_>) -> Option<Duration> {
    let doc = "Disables the destination after nothing but failures for this long, as a 410 does; `0s`: never.";
    let after = s.key("disable_after", DURATION, doc).range("0s", "365d").default("5d");
    Some(after).filter(|after| !after.is_zero())
}

fn breaker_of(s: &Section<'_, '_>) -> Option<Breaker> {
    let doc = "It opens when at least this share of the attempts failed: no answer, 401, 408, 5xx or 3xx. Another 4xx is not a failure of the destination. Credentials that don't work (no token, no valid key) open it at once.";
    let failures = s.key("failures", PERCENT, doc).range("1%", "100%").default("80%");
    let doc = "And there were at least this many attempts; 0: it never opens.";
    let attempts = s.key("attempts", whole(), doc).range("0", "100000").default("20");
    let doc = "The time in which attempts are counted. Counting begins with the first failure after a while without any.";
    let window = s.key("window", DURATION, doc).range("1s", "1d").default("1m");
    let doc = "The wait from its opening to the first probe; doubled by each probe that fails. Three successful probes close it.";
    let wait = s.key("wait", DURATION, doc).range("100ms", "1d").default("10s");
    let cap = s.key("cap", DURATION, "The longest wait.").range("100ms", "1d").default("5m");
    if cap < wait {
        let help = "make `cap` at least as long as `wait`";
        s.wrong("cap", Fault::new("the longest wait is shorter than the first", help));
    }
    let failures = f64::from(failures) / 100.0;
    (attempts > 0).then_some(Breaker { failures, attempts, window, wait, cap })
}
