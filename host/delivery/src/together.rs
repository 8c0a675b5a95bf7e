//! An attempt of many deliveries: in one request where that goes well, and by smaller ones where some of them spoil it.
use std::sync::Arc;

use tokio::time::Instant;

use super::attempt::{self, Made};
use super::batch::{Entries, Load};
use super::lane::{Lane, STORE_PAUSE_MS};
use super::settings::Settings;
use super::slot::Slot;
use super::split::{Split, is_about_content, may_be_one_of_them};
use hookwright_model::Outcome;
use hookwright_model::retry::After;
use hookwright_settings::Batch;

/// Whether one more request may leave from the same place in flight.
enum Leave {
    Given,
    /// The breaker opened: the destination as a whole fails.
    Open,
    /// It asked for a pause, somebody switched it off, or the host stops.
    Shut,
}

/// Each delivery is settled once at the most, by the last request that it was
/// in: what a request with others came to uses up none of its attempts where
/// it goes into another one. Nobody is given up for company. False where it
/// was cut off; what is not settled then still waits in its row.
pub(super) async fn run(
    lane: &Arc<Lane>,
    settings: &Settings,
    batch: &Batch,
    load: &Load,
    slot: &mut Slot,
) -> bool {
    let deliveries = load.deliveries();
    let entries = Entries::new(deliveries, batch.format);
    let mut split = Split::new(deliveries.len());
    // What a request with others meant for each, where it goes into another one.
    let mut meant: Vec<Option<(Arc<Made>, After)>> = deliveries.iter().map(|_| None).collect();
    let mut again = false;
    while let Some(group) = split.next(lane.batch_bytes(batch), |place| entries.size(place)) {
        if std::mem::replace(&mut again, true) {
            match leave(lane).await {
                Leave::Given => {}
                Leave::Open => return leave_all(lane, settings, &split, meant, load, slot),
                Leave::Shut => return leave_all(lane, settings, &split, Vec::new(), load, slot),
            }
        }
        let joined = entries.join(deliveries, &group);
        let made = attempt::send(lane, settings, &joined, slot.ticket).await;
        let Some(made) = made.map(Arc::new) else { return false };
        let (outcome, alone) = (&made.outcome, group.len() == 1);
        if !alone {
            lane.learn_bytes(batch, joined.body().len(), outcome);
        }
        let mut stay = Vec::new();
        for place in &group {
            let delivery = &deliveries[*place];
            let after = attempt::decide(lane, settings, delivery, &made);
            let given_up = matches!(after, After::Dead(_));
            let shared = is_about_content(outcome) || (given_up && may_be_one_of_them(outcome));
            if !alone && shared {
                stay.push(*place);
                meant[*place] = Some((made.clone(), after));
                continue;
            }
            let refused = alone && matches!(after, After::At(_)) && is_about_content(outcome);
            lane.goes_alone(delivery.event.id, refused);
            if let Some(due_ms) = attempt::settle(lane, settings, delivery, &made, after) {
                slot.due_again(*place, due_ms);
            }
        }
        if outcome.is_success() {
            split.succeeded(group.len());
            continue;
        }
        if !stay.is_empty() {
            let destination = &lane.name;
            tracing::info!(%destination, deliveries = group.len(), outcome = ?brief(outcome), "a batch was not taken as a whole; it is sent in parts");
        }
        split.failed(group.len(), &stay);
        if !may_be_one_of_them(outcome) {
            // The rest would not fare better now.
            return leave_all(lane, settings, &split, Vec::new(), load, slot);
        }
    }
    true
}

/// The rest of the batch does not go now. What a request with others already
/// `meant` for it holds where that is known; else it waits in its row, and has lost nothing.
fn leave_all(
    lane: &Arc<Lane>,
    settings: &Settings,
    split: &Split,
    mut meant: Vec<Option<(Arc<Made>, After)>>,
    load: &Load,
    slot: &mut Slot,
) -> bool {
    let later_ms = lane.shared.clock.now_ms().saturating_add(STORE_PAUSE_MS);
    for place in split.rest() {
        let due_ms = match meant.get_mut(place).and_then(Option::take) {
            Some((made, after)) => {
                attempt::settle(lane, settings, &load.deliveries()[place], &made, after)
            }
            None => Some(later_ms),
        };
        if let Some(due_ms) = due_ms {
            slot.due_again(place, due_ms);
        }
    }
    true
}

/// Waits for the destination's rate.
async fn leave(lane: &Arc<Lane>) -> Leave {
    loop {
        let later = {
            let mut inner = lane.inner.lock();
            let now = Instant::now();
            if inner.health.is_open() {
                return Leave::Open;
            }
            let paused = inner.health.paused_until().is_some_and(|until| until > now);
            if paused || !inner.is_open() || lane.shared.stop.is_cancelled() {
                return Leave::Shut;
            }
            match inner.rate.as_mut().map(|bucket| bucket.take(now)) {
                None | Some(Ok(())) => return Leave::Given,
                Some(Err(later)) => later,
            }
        };
        tokio::select! {
            () = tokio::time::sleep_until(later) => {}
            () = lane.shared.stop.cancelled() => return Leave::Shut,
        }
    }
}

/// For the log.
fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, .. } => status.to_string(),
        Outcome::Failed { cause, .. } => cause.as_str().to_owned(),
        Outcome::Taken => "taken".to_owned(),
    }
}
