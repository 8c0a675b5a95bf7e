//! What follows from an attempt: decides, and has it recorded.
use std::sync::Arc;
use std::time::Duration;

use super::send::Made;
use crate::lane::{Lane, Settings};
use hookwright_model::clock::{millis, random_unit};
use hookwright_model::retry::After;
use hookwright_model::{Attempt, Delivery, Disposition, Outcome, Response};
use hookwright_store::{Next, Settled};

/// Before a delivery that was not sent is considered again, in milliseconds. The
/// lane's health says when it may leave.
const UNSENT_PAUSE_MS: u64 = 1_000;

/// What follows for the delivery from what was made of it.
pub(super) fn decide(lane: &Lane, settings: &Settings, delivery: &Delivery, made: &Made) -> After {
    let response = &made.response;
    let now_ms = lane.services().clock.now_ms();
    if made.is_none(settings) {
        return After::At(now_ms.saturating_add(UNSENT_PAUSE_MS));
    }
    let tries = delivery.tries.saturating_add(1);
    let after = settings.policy.next(tries, response, now_ms, random_unit());
    if delivery.has_age() && settings.policy.max_age.is_some() {
        // By the clock that `after` is told by, where that is not believed yet.
        let ahead_ms = now_ms.saturating_sub(lane.services().clock.sure_ms());
        let accepted_ms = delivery.event.received_ms().saturating_add(ahead_ms);
        settings.policy.unless_aged(after, accepted_ms, &response.outcome)
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
    let Made { at_ms, took, response } = made;
    let outcome = &response.outcome;
    if let (true, After::At(due_ms)) = (made.is_none(settings), &after) {
        log_unsent(delivery, outcome);
        return Some(*due_ms);
    }
    log(delivery, response, &after, *took);
    let mut again = None;
    let next = match after {
        After::Delivered => {
            let now_ms = lane.services().clock.now_ms();
            lane.meter().delivered(now_ms.saturating_sub(delivery.event.received_ms()));
            Next::Delivered
        }
        After::At(due_ms) => {
            again = Some(due_ms);
            Next::Retry { due_ms }
        }
        After::Dead(cause) => {
            lane.meter().dead();
            Next::Dead { cause }
        }
        After::Disable(cause) => {
            lane.meter().dead();
            lane.gone(&cause);
            Next::Dead { cause }
        }
    };
    let number = delivery.attempts.saturating_add(1);
    let (at_ms, took_us) = (*at_ms, micros(*took));
    let attempt = Attempt { number, at_ms, took_us, outcome: outcome.clone() };
    if let Some(traces) = &lane.services().traces {
        let server = settings.kind.server();
        traces.attempted(delivery, &attempt, server, matches!(next, Next::Delivered));
    }
    let ordered = delivery.order_key.is_some();
    let settled = Settled { key: delivery.key(), attempt, next, ordered };
    if let Err(error) = lane.services().queue.settled(settled) {
        let event = delivery.event.id;
        tracing::debug!(%event, %error, "an attempt ended after the close; it is made again");
    }
    again
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

fn log(delivery: &Delivery, response: &Response, after: &After, took: Duration) {
    let outcome = &response.outcome;
    let (event, destination) = (delivery.event.id, &delivery.destination);
    let attempt = delivery.attempts.saturating_add(1);
    let took_ms = millis(took);
    let status = match outcome {
        Outcome::Answered { status, .. } => Some(*status),
        Outcome::Failed { .. } | Outcome::Accepted => None,
    };
    let failure = match outcome {
        Outcome::Answered { .. } | Outcome::Accepted => None,
        Outcome::Failed { message, .. } => Some(message.as_str()),
    };
    match after {
        After::Delivered => {
            let reference = match &response.disposition {
                Disposition::Accepted { reference } => reference.as_deref(),
                _ => None,
            };
            tracing::debug!(%event, %destination, attempt, status, reference, took_ms, "delivered");
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
