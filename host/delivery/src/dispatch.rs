//! Starts a lane's attempts: takes hand-offs, polls the rows, and begins what the lane's state allows.
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{self, Permit};
use super::lane::{Action, Lane, Load, Offered, Poll, STORE_PAUSE_MS, Services, Settings, Watch};
use hookwright_model::Delivery;
use hookwright_store::{Claim, DuePage, GivenUp, StoreError};

/// Takes a delivery that the store hands on. Called on any thread, the store's own
/// too: no more than short locks. The attempt starts from here, without a detour
/// through the lane's task.
pub(super) fn offer(lane: &Arc<Lane>, delivery: Delivery, now_ms: u64) {
    let Some(offered) = lane.state().offer(delivery, now_ms) else { return };
    if begin_attempts(lane) | (offered == Offered::LeftToRow) {
        lane.wake();
    }
}

/// The lane's task. Until the stop, or until the lane has ended.
pub(super) async fn run(lane: Arc<Lane>) {
    let stop = lane.services().stop.child_token();
    let stopped = stop.cancelled();
    let mut stopped = std::pin::pin!(stopped);
    let mut timer = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    loop {
        begin_attempts(&lane);
        let Some(until) = poll_or_wait(&lane) else { return };
        timer.as_mut().reset(until);
        tokio::select! {
            () = lane.woken() => {}
            () = &mut timer => {}
            () = &mut stopped => lane.end(),
        }
    }
}

/// Starts as many attempts as limits and state allow. True where time alone
/// allows the next one: the lane's task has to watch it.
fn begin_attempts(lane: &Arc<Lane>) -> bool {
    loop {
        let action = lane.state().next(&lane.services().clock);
        match action {
            Action::Begin(load, settings, ticket) => {
                lane.meter().attempt_began();
                let permit = Permit::new(Arc::clone(lane), &load, ticket);
                let attempt = attempt(Arc::clone(lane), settings, load, permit);
                lane.services().attempts.spawn_on(attempt, &lane.services().runtime);
            }
            Action::GiveUp(over) => give_up(lane, over),
            Action::Wait(later) => return later.is_some(),
        }
    }
}

/// Runs in a task of its own. The permit frees the place in the lane, however this ends.
async fn attempt(lane: Arc<Lane>, settings: Arc<Settings>, load: Load, mut permit: Permit) {
    if !attempt::run(&lane, &settings, &load, &mut permit).await {
        return;
    }
    // The next attempt starts from here, without a detour through the lane's task.
    let wake = permit.free();
    if begin_attempts(&lane) | wake {
        lane.wake();
    }
}

/// Ends deliveries without an attempt. The store is told first: a claim that
/// comes afterwards has it.
fn give_up(lane: &Lane, over: Vec<(Delivery, String)>) {
    for (delivery, cause) in over {
        let (event, destination) = (delivery.event.id, lane.name());
        tracing::warn!(%event, %destination, cause, "not delivered; given up");
        lane.meter().dead();
        let ordered = delivery.order_key.is_some();
        let given_up = GivenUp { key: delivery.key(), cause, ordered };
        if let Err(error) = lane.services().queue.given_up(given_up) {
            tracing::debug!(%event, %error, "a delivery was given up after the close; it is claimed again");
        }
        lane.state().given_up(event);
    }
    // There may be room to poll the rows again.
    lane.wake();
}

/// Begins a poll of the rows if it is time. Answers when to come back at the latest; none at the end.
fn poll_or_wait(lane: &Arc<Lane>) -> Option<Instant> {
    let Services { clock, tasks, .. } = lane.services();
    let watch = lane.state().watch(Instant::now(), clock.now_ms());
    let Watch { until, poll: due } = watch?;
    if let Some((due, longest)) = due {
        tasks.spawn_piece(poll(Arc::clone(lane), due, longest));
    }
    Some(until)
}

/// Waits of more than `longest` are none that the policy has made.
async fn poll(lane: Arc<Lane>, poll: Poll, longest: Duration) {
    let read = claim(&lane, poll, longest).await.map_err(|error| {
        tracing::warn!(destination = %lane.name(), %error, "waiting deliveries can't be read; will be tried again");
        lane.services().clock.now_ms().saturating_add(STORE_PAUSE_MS)
    });
    lane.state().polled(poll, read);
    lane.wake();
}

/// The deliveries that are due, and by which time.
async fn claim(lane: &Lane, poll: Poll, longest: Duration) -> Result<(DuePage, u64), StoreError> {
    let Services { queue, clock, .. } = lane.services();
    let now_ms = clock.now_ms();
    if poll.rein.is_some() {
        let reined = queue.rein_in(Some(lane.name()), now_ms, longest).await?;
        if reined > 0 {
            tracing::warn!(destination = %lane.name(), reined, "deliveries waited for a time that a wrong clock gave them; they are due now");
        }
    }
    let claim = Claim { of: lane.name(), now_ms, after: None, limit: poll.limit };
    Ok((queue.claim_deliveries(claim).await?, now_ms))
}
