//! One attempt: send, decide, record.
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::batch::Load;
use super::health::Ticket;
use super::kinds::{Packed, Responses};
use super::lane::Lane;
use super::permit::Permit;
use super::settings::Settings;
use super::together;
use hookwright_model::clock::{millis, random_unit};
use hookwright_model::retry::After;
use hookwright_model::{Attempt, Cause, Delivery, Disposition, Outcome, Response};
use hookwright_store::{Next, Settled};

/// Before a delivery that was not sent is considered again, in milliseconds. The
/// lane's health says when it may leave.
const UNSENT_PAUSE_MS: u64 = 1_000;

/// Runs in a task of its own. The permit frees the place in the lane, however this ends.
pub(super) async fn run(lane: Arc<Lane>, settings: Arc<Settings>, load: Load, mut permit: Permit) {
    // Before the permit is given back everything is settled: a claim that comes
    // afterwards has it.
    match &settings.batch {
        Some(batch) => {
            if !together::run(&lane, &settings, batch, &load, &mut permit).await {
                return;
            }
        }
        None => {
            let (delivery, _) = load.split_first();
            let Some(made) = send(&lane, &settings, delivery, permit.ticket).await else { return };
            let after = decide(&lane, &settings, delivery, &made);
            if let Some(due_ms) = settle(&lane, &settings, delivery, &made, after) {
                permit.due_again(0, due_ms);
            }
        }
    }
    permit.free();
}

/// What an attempt came to.
pub(super) struct Made {
    at_ms: u64,
    took: Duration,
    pub(super) response: Response,
}

impl Made {
    /// Nothing was sent, and it is nobody's fault here: the delivery's row stays as
    /// it is, with all its attempts. Not where the settings would rather give it up.
    fn is_none(&self, settings: &Settings) -> bool {
        self.response.is_no_attempt() && !settings.policy.never.holds(&self.response.outcome)
    }
}

/// What came of deliveries that were sent together.
pub(super) enum MadeMany {
    /// They were one message.
    Whole(Made),
    /// For each, in the order of their places.
    Each(Vec<Made>),
}

/// Sends once, and tells the lane what came of it. None where it was cut off:
/// that is not settled, the row still waits and the next start finds it.
async fn send(
    lane: &Arc<Lane>,
    settings: &Settings,
    delivery: &Delivery,
    ticket: Ticket,
) -> Option<Made> {
    let began = Began::now(lane, ticket);
    let sent = unless_cut_off(lane, settings.kind.send(delivery, began.at_ms)).await?;
    Some(began.ended(lane, sent.unwrap_or_else(|_| panicked())))
}

/// The same for the packed deliveries at these places.
pub(super) async fn send_together(
    lane: &Arc<Lane>,
    packed: &dyn Packed,
    places: &[usize],
    ticket: Ticket,
) -> Option<MadeMany> {
    let began = Began::now(lane, ticket);
    let sent = unless_cut_off(lane, packed.send(places, began.at_ms)).await?;
    Some(match sent.unwrap_or_else(|_| Responses::Whole(panicked())) {
        Responses::Whole(response) => MadeMany::Whole(began.ended(lane, response)),
        Responses::Each(responses) => {
            let made = responses.into_iter().map(|response| began.ended(lane, response));
            MadeMany::Each(made.collect())
        }
    })
}

/// The sending's answer, or that it panicked; none at the lane's cut-off.
async fn unless_cut_off<T>(
    lane: &Lane,
    sending: impl Future<Output = T>,
) -> Option<std::thread::Result<T>> {
    tokio::select! {
        biased;
        sent = AssertUnwindSafe(sending).catch_unwind() => Some(sent),
        () = lane.cut.cancelled() => None,
    }
}

/// The beginning of an attempt.
struct Began {
    at_ms: u64,
    at: Instant,
    ticket: Ticket,
}

impl Began {
    fn now(lane: &Lane, ticket: Ticket) -> Self {
        Self { at_ms: lane.shared.clock.now_ms(), at: Instant::now(), ticket }
    }

    /// The attempt ended now: meters and the lane's health hear of it.
    fn ended(&self, lane: &Arc<Lane>, response: Response) -> Made {
        let now = Instant::now();
        let took = now - self.at;
        lane.meter.outcome(&response.outcome, took);
        lane.note_response((self.at_ms, self.ticket), &response, now);
        Made { at_ms: self.at_ms, took, response }
    }
}

/// What follows for the delivery from what was made of it.
pub(super) fn decide(lane: &Lane, settings: &Settings, delivery: &Delivery, made: &Made) -> After {
    let response = &made.response;
    let now_ms = lane.shared.clock.now_ms();
    if made.is_none(settings) {
        return After::At(now_ms.saturating_add(UNSENT_PAUSE_MS));
    }
    let tries = delivery.tries.saturating_add(1);
    let after = settings.policy.next(tries, response, now_ms, random_unit());
    if delivery.has_age() && settings.policy.max_age.is_some() {
        // By the clock that `after` is told by, where that is not believed yet.
        let ahead_ms = now_ms.saturating_sub(lane.shared.clock.sure_ms());
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

fn panicked() -> Response {
    hookwright_model::metrics::task_panicked("attempt");
    let message = "the attempt panicked: a defect of Hookwright, please report it".to_owned();
    Response::failed(Cause::Protocol, message)
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
