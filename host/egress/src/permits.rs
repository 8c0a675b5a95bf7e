//! A counting semaphore whose size changes: how many requests may be in flight over HTTP/2 at once.
//!
//! The server announces the limit (SETTINGS_MAX_CONCURRENT_STREAMS). Requests above it wait here, before their
//! timeouts begin: the time in our queue does not count as the receiver's.
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

/// One for each client. Without a limit until one is set.
#[derive(Clone, Default)]
pub(super) struct Permits(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// None: no limit.
    limit: Option<u32>,
    held: u32,
    /// In the order of their arrival.
    waiting: VecDeque<oneshot::Sender<Permit>>,
}

impl State {
    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.held >= limit)
    }
}

/// The right to have one request in flight. When dropped, it passes to the request that has waited longest.
pub(super) struct Permit(Option<Permits>);

impl Permits {
    /// Waits for its turn. May be dropped at any point.
    pub(super) async fn acquire(&self) -> Permit {
        let turn = {
            let mut state = self.0.lock();
            if !state.is_full() {
                state.held = state.held.saturating_add(1);
                return Permit(Some(self.clone()));
            }
            // Requests that gave up are removed when the next one arrives.
            state.waiting.retain(|waiting| !waiting.is_closed());
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back(sender);
            turn
        };
        // A sender that is dropped without a permit belongs to a client that is gone.
        turn.await.unwrap_or(Permit(None))
    }

    /// Sets the limit that the server announces. One request is always allowed: a server that
    /// announces 0 gets it, and can refuse it itself.
    pub(super) fn limit(&self, limit: u32) {
        self.0.lock().limit = Some(limit.max(1));
        self.grant_waiting();
    }

    /// Removes the limit: the server no longer uses HTTP/2.
    pub(super) fn unlimited(&self) {
        self.0.lock().limit = None;
        self.grant_waiting();
    }

    /// The limit, as far as it is known.
    pub(super) fn known_limit(&self) -> Option<u32> {
        self.0.lock().limit
    }

    fn grant_waiting(&self) {
        loop {
            let next = {
                let mut state = self.0.lock();
                if state.is_full() {
                    return;
                }
                let Some(next) = state.waiting.pop_front() else { return };
                state.held = state.held.saturating_add(1);
                next
            };
            if let Err(mut refused) = next.send(Permit(Some(self.clone()))) {
                // Who was next has given up. Not by the permit's own end, which would come here again.
                refused.0 = None;
                let mut state = self.0.lock();
                state.held = state.held.saturating_sub(1);
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(permits) = self.0.take() else { return };
        {
            let mut state = permits.0.lock();
            state.held = state.held.saturating_sub(1);
        }
        permits.grant_waiting();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn those_above_the_limit_wait_in_their_order() {
        let permits = Permits::default();
        let mut inside: Vec<Permit> = Vec::new();
        for _ in 0..3 {
            inside.push(permits.acquire().now_or_never().expect("no limit yet"));
        }
        permits.limit(2);
        let [mut first, mut second] = [Box::pin(permits.acquire()), Box::pin(permits.acquire())];
        let mut wait =
            || first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none();
        assert!(wait());
        inside.pop();
        assert!(wait(), "still as many as the limit");
        inside.pop();
        let first = first.await;
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn a_seat_that_nobody_takes_goes_on() {
        let permits = Permits::default();
        permits.limit(1);
        let inside = permits.acquire().await;
        let mut gone = Box::pin(permits.acquire());
        let mut next = Box::pin(permits.acquire());
        assert!(gone.as_mut().now_or_never().is_none() && next.as_mut().now_or_never().is_none());
        drop(inside);
        // It was given the permit and never looked.
        drop(gone);
        let permit = next.await;
        let mut more = [Box::pin(permits.acquire()), Box::pin(permits.acquire())];
        assert!(more.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        permits.limit(u32::MAX);
        for one in more {
            one.await;
        }
        drop(permit);
        assert_eq!(permits.0.lock().held, 0);
    }
}
