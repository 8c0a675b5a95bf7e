//! One attempt: send, decide, record.
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::batch::Load;
use super::health::Ticket;
use super::lane::Lane;
use super::settings::Settings;
use super::signs::Sign;
use super::slot::Slot;
use super::together;
use hookwright_model::clock::{millis, random_unit};
use hookwright_model::retry::After;
use hookwright_model::{Attempt, Cause, Delivery, Outcome};
use hookwright_store::{Next, Settled};

/// Before a delivery that was not sent is looked at again, in milliseconds. The
/// lane's health says when it may leave.
const UNSENT_PAUSE_MS: u64 = 1_000;

/// Runs in a task of its own. The slot frees the place in the lane, however this ends.
pub(super) async fn run(lane: Arc<Lane>, settings: Arc<Settings>, load: Load, mut slot: Slot) {
    // Before the slot is freed everything is settled: a claim that comes
    // afterwards has it.
    match &settings.batch {
        Some(batch) => {
            if !together::run(&lane, &settings, batch, &load, &mut slot).await {
                return;
            }
        }
        None => {
            let (delivery, _) = load.split_first();
            let Some(made) = send(&lane, &settings, delivery, slot.ticket).await else { return };
            let after = decide(&lane, &settings, delivery, &made);
            if let Some(due_ms) = settle(&lane, &settings, delivery, &made, after) {
                slot.due_again(0, due_ms);
            }
        }
    }
    slot.free();
}

/// What an attempt came to.
pub(super) struct Made {
    at_ms: u64,
    took: Duration,
    pub(super) outcome: Outcome,
}

impl Made {
    /// Nothing was sent, and it is nobody's fault here: the delivery's row stays as
    /// it is, with all its attempts. Not where the settings would rather give it up.
    fn is_none(&self, settings: &Settings) -> bool {
        self.outcome.is_no_attempt() && !settings.policy.never.holds(&self.outcome)
    }
}

/// Sends once, and tells the lane what came of it. None where it was cut off:
/// that is not settled, the row still waits and the next start finds it.
pub(super) async fn send(
    lane: &Arc<Lane>,
    settings: &Settings,
    delivery: &Delivery,
    ticket: Ticket,
) -> Option<Made> {
    let at_ms = lane.shared.clock.now_ms();
    let began = Instant::now();
    let sending = AssertUnwindSafe(settings.kind.send(delivery, at_ms)).catch_unwind();
    let outcome = tokio::select! {
        biased;
        outcome = sending => outcome.unwrap_or_else(|_| panicked()),
        () = lane.cut.cancelled() => return None,
    };
    let ended = Instant::now();
    let took = ended - began;
    lane.meter.outcome(&outcome, took);
    let sign = Sign::of(&outcome, settings.kind.rests_until());
    lane.note_outcome((at_ms, ticket), (&outcome, sign), ended);
    Some(Made { at_ms, took, outcome })
}

/// What follows for the delivery from what was made of it.
pub(super) fn decide(lane: &Lane, settings: &Settings, delivery: &Delivery, made: &Made) -> After {
    let outcome = &made.outcome;
    let now_ms = lane.shared.clock.now_ms();
    if made.is_none(settings) {
        return After::At(now_ms.saturating_add(UNSENT_PAUSE_MS));
    }
    let tries = delivery.tries.saturating_add(1);
    let after = settings.policy.next(tries, outcome, now_ms, random_unit());
    if delivery.has_age() && settings.policy.max_age.is_some() {
        // By the clock that `after` is told by, where that is not believed yet.
        let ahead_ms = now_ms.saturating_sub(lane.shared.clock.sure_ms());
        let accepted_ms = delivery.event.received_ms().saturating_add(ahead_ms);
        settings.policy.unless_aged(after, accepted_ms, outcome)
    } else {
        after
    }
}

/// Records what follows for one delivery; when that is due again, where it is.
pub(super) fn settle(
    lane: &Arc<Lane>,
    settings: &Settings,
    delivery: &Delivery,
    made: &Made,
    after: After,
) -> Option<u64> {
    let Made { at_ms, took, outcome } = made;
    if let (true, After::At(due_ms)) = (made.is_none(settings), &after) {
        log_unsent(delivery, outcome);
        return Some(*due_ms);
    }
    log(delivery, outcome, &after, *took);
    let mut again = None;
    let next = match after {
        After::Delivered => {
            let now_ms = lane.shared.clock.now_ms();
            lane.meter.delivered(now_ms.saturating_sub(delivery.event.received_ms()));
            Next::Delivered
        }
        After::At(due_ms) => {
            again = Some(due_ms);
            Next::Retry { due_ms }
        }
        After::Dead(cause) => {
            lane.meter.dead();
            Next::Dead { cause }
        }
        After::Disable(cause) => {
            lane.meter.dead();
            lane.gone(&cause);
            Next::Dead { cause }
        }
    };
    let number = delivery.attempts.saturating_add(1);
    let (at_ms, took_us) = (*at_ms, micros(*took));
    let attempt = Attempt { number, at_ms, took_us, outcome: outcome.clone() };
    if let Some(traces) = &lane.shared.traces {
        let server = settings.kind.server();
        traces.attempted(delivery, &attempt, server, matches!(next, Next::Delivered));
    }
    let ordered = delivery.order_key.is_some();
    let settled = Settled { key: delivery.key(), attempt, next, ordered };
    if let Err(error) = lane.shared.queue.settled(settled) {
        let event = delivery.event.id;
        tracing::debug!(%event, %error, "an attempt ended after the close; it is made again");
    }
    again
}

fn panicked() -> Outcome {
    hookwright_model::metrics::task_panicked("attempt");
    let message = "the attempt panicked: a defect of Hookwright, please report it".to_owned();
    Outcome::Failed { cause: Cause::Protocol, message }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn log_unsent(delivery: &Delivery, outcome: &Outcome) {
    let (event, destination) = (delivery.event.id, &delivery.destination);
    if let Outcome::Failed { cause, message } = outcome {
        let (cause, failure) = (cause.as_str(), message.as_str());
        tracing::warn!(%event, %destination, cause, failure, "not sent; it waits, and keeps its attempts");
    }
}

fn log(delivery: &Delivery, outcome: &Outcome, after: &After, took: Duration) {
    let (event, destination) = (delivery.event.id, &delivery.destination);
    let attempt = delivery.attempts.saturating_add(1);
    let took_ms = millis(took);
    let status = match outcome {
        Outcome::Answered { status, .. } => Some(*status),
        Outcome::Failed { .. } | Outcome::Taken => None,
    };
    let failure = match outcome {
        Outcome::Answered { .. } | Outcome::Taken => None,
        Outcome::Failed { message, .. } => Some(message.as_str()),
    };
    match after {
        After::Delivered => {
            tracing::debug!(%event, %destination, attempt, status, took_ms, "delivered");
        }
        After::At(due_ms) => {
            tracing::info!(%event, %destination, attempt, status, failure, took_ms, due_ms, "not delivered; will be tried again");
        }
        After::Dead(cause) => {
            tracing::warn!(%event, %destination, attempt, status, took_ms, cause, "not delivered; given up");
        }
        After::Disable(cause) => {
            tracing::warn!(%event, %destination, attempt, status, took_ms, cause, "not delivered; the destination is disabled until somebody enables it");
        }
    }
}
