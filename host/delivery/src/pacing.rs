//! When the next attempt may leave as far as the settings have a say: the rate, and the batching delay.
use tokio::time::Instant;

use super::rate::pace;
use super::window::Window;
use hookwright_model::Rate;
use hookwright_model::token_bucket::TokenBucket;
use hookwright_settings::Batch;

/// A lane asks it before each attempt. Health is apart: that is the destination's say.
#[derive(Debug)]
pub(super) struct Pacing {
    /// None: as fast as attempts in flight allow.
    rate: Option<TokenBucket>,
    /// Since when deliveries are gathered for a batch.
    gathering: Option<Instant>,
}

impl Pacing {
    pub(super) fn new(rate: Option<Rate>) -> Self {
        Self { rate: rate.map(|rate| TokenBucket::new(pace(rate))), gathering: None }
    }

    /// Takes another rate; what was sent so far counts no more.
    pub(super) fn set_rate(&mut self, rate: Option<Rate>) {
        self.rate = rate.map(|rate| TokenBucket::new(pace(rate)));
    }

    /// Takes a token for one attempt; when to ask again, where there is none.
    pub(super) fn paced_until(&self, now: Instant) -> Option<Instant> {
        self.rate.as_ref()?.take(now).err().map(|wait| now + wait)
    }

    /// Until when the deliveries in the window wait for more of them, to leave
    /// together in messages of so many bytes.
    pub(super) fn gathers_until(
        &mut self,
        batch: &Batch,
        bytes: usize,
        window: &Window,
        now: Instant,
    ) -> Option<Instant> {
        if window.has_enough(batch.events, bytes) {
            // Those that it leaves may begin to wait again.
            self.gathering = None;
            return None;
        }
        // Once the time is up all go that are there, of whatever source: it
        // begins again with the next one that finds nothing before it.
        let until = *self.gathering.get_or_insert(now) + batch.wait;
        (until > now).then_some(until)
    }

    /// Nothing waits, or nothing may leave.
    pub(super) fn stop_gathering(&mut self) {
        self.gathering = None;
    }
}
