//! An attempt of many deliveries: in one message where that goes well, and in smaller ones where some of them spoil it.
use std::sync::Arc;

use tokio::time::Instant;

use super::permit::Permit;
use super::send::{self, Made, MadeMany};
use super::settle;
use super::split::Split;
use crate::kinds::{Packed, Separate};
use crate::lane::{Lane, Leave, Load, STORE_PAUSE_MS, Settings};
use hookwright_model::retry::After;
use hookwright_model::{Delivery, Outcome};
use hookwright_settings::Batch;

/// An attempt of many deliveries, from its first message to its last.
struct Together<'a> {
    lane: &'a Arc<Lane>,
    settings: &'a Settings,
    batch: &'a Batch,
    deliveries: &'a [Delivery],
    split: Split,
    /// What a message with others meant for each, where it goes into another one.
    meant: Vec<Option<(Arc<Made>, After)>>,
    permit: &'a mut Permit,
}

/// Each delivery is settled once at the most, by the last message that it was
/// in: what a message with others came to uses up none of its attempts where
/// it goes into another one. None is given up for what another one caused. False
/// where it was cut off; what is not settled then still waits in its row.
pub(super) async fn run(
    lane: &Arc<Lane>,
    settings: &Settings,
    batch: &Batch,
    load: &Load,
    permit: &mut Permit,
) -> bool {
    let deliveries = load.deliveries();
    let kind = &*settings.kind;
    let packed = kind.pack(deliveries);
    let packed = packed.unwrap_or_else(|| Box::new(Separate::new(kind, deliveries)));
    let mut together = Together {
        lane,
        settings,
        batch,
        deliveries,
        split: Split::new(deliveries.len()),
        meant: deliveries.iter().map(|_| None).collect(),
        permit,
    };
    let mut again = false;
    while let Some(group) = together.next(&*packed) {
        if std::mem::replace(&mut again, true) {
            match leave(lane).await {
                Ok(()) => {}
                Err(Ending::BreakerOpen) => {
                    together.leave_rest();
                    return true;
                }
                Err(Ending::Shut) => {
                    together.meant.clear();
                    together.leave_rest();
                    return true;
                }
            }
        }
        let ticket = together.permit.ticket;
        let made = match send::send_together(lane, &*packed, &group, ticket).await {
            None => return false,
            Some(MadeMany::Whole(made)) => made,
            Some(MadeMany::Each(made)) => {
                together.settle_each(&group, &made);
                continue;
            }
        };
        let bytes = group.iter().map(|place| packed.size(*place)).sum();
        let blame = made.response.blame;
        let accepted = made.response.is_accepted();
        together.settle_whole(&group, bytes, made);
        if !accepted && !blame.is_possible() {
            // The rest would not fare better now.
            together.meant.clear();
            together.leave_rest();
            return true;
        }
    }
    true
}

impl Together<'_> {
    /// What goes into the next message.
    fn next(&self, packed: &dyn Packed) -> Option<Vec<usize>> {
        let bytes = self.lane.state().batching().bytes(self.batch);
        self.split.next(bytes, |place| packed.size(place))
    }

    /// Each had a response of its own: none of them is tried again within this attempt.
    fn settle_each(&mut self, group: &[usize], made: &[Made]) {
        for (place, made) in group.iter().zip(made) {
            let after = settle::decide(self.lane, self.settings, &self.deliveries[*place], made);
            self.settle(*place, made, after);
        }
        self.split.succeeded(group.len());
    }

    /// They were one message of so many bytes. Those that may have been harmed by
    /// another one stay, and go into smaller messages.
    fn settle_whole(&mut self, group: &[usize], bytes: usize, made: Made) {
        let (made, alone) = (Arc::new(made), group.len() == 1);
        let blame = made.response.blame;
        if !alone {
            self.lane.state().batching().learn(self.batch, bytes, &made.response);
        }
        let mut stay = Vec::new();
        for place in group {
            let delivery = &self.deliveries[*place];
            let after = settle::decide(self.lane, self.settings, delivery, &made);
            let given_up = matches!(after, After::Dead(_));
            let shared = blame.is_content() || (given_up && blame.is_possible());
            if !alone && shared {
                stay.push(*place);
                self.meant[*place] = Some((made.clone(), after));
                continue;
            }
            let refused = alone && matches!(after, After::At(_)) && blame.is_content();
            self.lane.state().batching().set_alone(delivery.event.id, refused);
            self.settle(*place, &made, after);
        }
        if made.response.is_accepted() {
            self.split.succeeded(group.len());
            return;
        }
        if !stay.is_empty() {
            let (destination, outcome) = (self.lane.name(), brief(&made.response.outcome));
            tracing::info!(%destination, deliveries = group.len(), ?outcome, "a batch was not taken as a whole; it is sent in parts");
        }
        self.split.failed(group.len(), &stay);
    }

    fn settle(&mut self, place: usize, made: &Made, after: After) {
        let delivery = &self.deliveries[place];
        if let Some(due_ms) = settle::settle(self.lane, self.settings, delivery, made, after) {
            self.permit.due_again(place, due_ms);
        }
    }

    /// The rest of the batch does not go now. What a message with others already
    /// meant for it holds where that is known; else it waits in its row, and has
    /// lost nothing.
    fn leave_rest(&mut self) {
        let later_ms = self.lane.services().clock.now_ms().saturating_add(STORE_PAUSE_MS);
        let rest: Vec<usize> = self.split.rest().collect();
        for place in rest {
            match self.meant.get_mut(place).and_then(Option::take) {
                Some((made, after)) => self.settle(place, &made, after),
                None => self.permit.due_again(place, later_ms),
            }
        }
    }
}

/// Why no other message leaves within the attempt.
enum Ending {
    /// The destination as a whole fails.
    BreakerOpen,
    /// It asked for a pause, somebody switched it off, or the host stops.
    Shut,
}

/// Waits for the destination's rate, until another message may leave.
///
/// # Errors
/// None may.
async fn leave(lane: &Lane) -> Result<(), Ending> {
    let stop = &lane.services().stop;
    loop {
        let leave = lane.state().leave(Instant::now());
        let later = match leave {
            Leave::BreakerOpen => return Err(Ending::BreakerOpen),
            Leave::Shut => return Err(Ending::Shut),
            _ if stop.is_cancelled() => return Err(Ending::Shut),
            Leave::Now => return Ok(()),
            Leave::At(later) => later,
        };
        tokio::select! {
            () = tokio::time::sleep_until(later) => {}
            () = stop.cancelled() => return Err(Ending::Shut),
        }
    }
}

/// For the log.
fn brief(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { status, .. } => status.to_string(),
        Outcome::Failed { cause, .. } => cause.as_str().to_owned(),
        Outcome::Accepted => "taken".to_owned(),
    }
}
