//! Sends once and tells the lane what came of it.
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use crate::kinds::{Packed, Responses};
use crate::lane::{Lane, Settings, Ticket};
use hookwright_model::{Cause, Delivery, Response};

/// What an attempt came to.
pub(super) struct Made {
    /// When it began, milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) took: Duration,
    pub(super) response: Response,
}

impl Made {
    /// Nothing was sent, and it is nobody's fault here: the delivery's row stays as
    /// it is, with all its attempts. Not where the settings would rather give it up.
    pub(super) fn is_none(&self, settings: &Settings) -> bool {
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
pub(super) async fn send(
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
        () = lane.cut_off() => None,
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
        Self { at_ms: lane.services().clock.now_ms(), at: Instant::now(), ticket }
    }

    /// The attempt ended now: meters and the lane's health hear of it.
    fn ended(&self, lane: &Arc<Lane>, response: Response) -> Made {
        let now = Instant::now();
        let took = now - self.at;
        lane.meter().outcome(&response.outcome, took);
        lane.responded((self.at_ms, self.ticket), &response, now);
        Made { at_ms: self.at_ms, took, response }
    }
}

fn panicked() -> Response {
    hookwright_model::metrics::task_panicked("attempt");
    let message = "the attempt panicked: a defect of Hookwright, please report it".to_owned();
    Response::failed(Cause::Protocol, message)
}
