//! One attempt: send, decide, record; of one delivery, or of many together.
mod permit;
mod send;
mod settle;
mod split;
mod together;

use std::sync::Arc;

use crate::lane::{Lane, Load, Settings};

pub(crate) use self::permit::Permit;

/// Makes the attempt. When it ends all is settled, so that the permit can be given
/// back: a claim that comes afterwards has it. False where the attempt was cut
/// off: what is not settled then still waits in its row.
pub(crate) async fn run(
    lane: &Arc<Lane>,
    settings: &Settings,
    load: &Load,
    permit: &mut Permit,
) -> bool {
    if let Some(batch) = &settings.batch {
        return together::run(lane, settings, batch, load, permit).await;
    }
    let (delivery, _) = load.split_first();
    let Some(made) = send::send(lane, settings, delivery, permit.ticket).await else {
        return false;
    };
    let after = settle::decide(lane, settings, delivery, &made);
    if let Some(due_ms) = settle::settle(lane, settings, delivery, &made, after) {
        permit.due_again(0, due_ms);
    }
    true
}
