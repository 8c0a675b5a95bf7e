//! Fair queueing: shares the store's queue between sources, so that a flood from one does not starve the others.
//!
//! While the queue is less than half full, sources are not limited. Above that, time
//! is divided into short intervals. In each, a source may append its fair share of what
//! all sources appended in the previous interval, with one share reserved for a new
//! source. So a flood shrinks from interval to interval until the queue is half
//! full, and the upper half is for the others.
use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use hookwright_model::Name;

/// The fill level above which the queue is shared fairly.
const HALF: f32 = 0.5;
const INTERVAL: Duration = Duration::from_millis(100);
/// Bytes that every source may append in an interval.
const LEAST: usize = 64 * 1024;
/// Bytes of a source in the first interval of a burst.
const FIRST: usize = 1024 * 1024;
/// Bytes that an event counts for besides its body.
const EVENT: usize = 1024;

#[derive(Default)]
pub(super) struct FairQueue(Mutex<Burst>);

#[derive(Default)]
struct Burst {
    /// When the current interval began; none before the first.
    since: Option<Instant>,
    /// Bytes of each source in the current interval.
    taken: HashMap<Name, usize>,
    /// The share of each source in it, in bytes.
    fair: usize,
}

impl FairQueue {
    /// Whether the source may append that many bytes now, with the queue this full (1: completely).
    pub(super) fn admit(&self, source: &Name, body: usize, fullness: f32, now: Instant) -> bool {
        if fullness <= HALF {
            return true;
        }
        let mut burst = self.0.lock();
        burst.advance(now);
        let fair = burst.fair;
        let taken = match burst.taken.get_mut(source) {
            Some(taken) => taken,
            None => burst.taken.entry(source.clone()).or_default(),
        };
        // One event is always admitted, however large.
        let after = taken.saturating_add(body).saturating_add(EVENT);
        let good = after <= fair || *taken == 0;
        if good {
            *taken = after;
        }
        good
    }
}

impl Burst {
    fn advance(&mut self, now: Instant) {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        match age {
            Some(age) if age < INTERVAL => return,
            // The queue was less than half full for a while: a new burst.
            None => self.fair = FIRST,
            Some(age) if age >= 2 * INTERVAL => self.fair = FIRST,
            Some(_) => {
                let all: usize = self.taken.values().sum();
                self.fair = (all / (self.taken.len() + 1)).clamp(LEAST, FIRST);
            }
        }
        self.taken.clear();
        self.since = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn with_room_nobody_is_counted() {
        let queue = FairQueue::default();
        let now = Instant::now();
        assert!((0..100_000).all(|_| queue.admit(&name("flood"), 1 << 20, 0.5, now)));
        assert!(queue.0.lock().taken.is_empty());
    }

    /// A store that writes so much in a step of 10 ms, before a flood and a few
    /// quiet sources. Gives how often these were refused, and the highest level.
    fn burst(room: usize, written: usize, flood: usize, quiet: usize, body: usize) -> (usize, f32) {
        let queue = FairQueue::default();
        let (mut waiting, mut refused, mut highest) = (0usize, 0, 0f32);
        let mut now = Instant::now();
        for step in 0..3_000 {
            now += Duration::from_millis(10);
            waiting = waiting.saturating_sub(written);
            let mut post = |source: &Name| {
                let fullness = waiting as f32 / room as f32;
                let fits = waiting + body + EVENT <= room;
                let taken = fits && queue.admit(source, body, fullness, now);
                waiting += if taken { body + EVENT } else { 0 };
                taken
            };
            for _ in 0..flood {
                post(&name("flood"));
            }
            for other in 0..quiet {
                if step % 5 == other % 5 {
                    refused += usize::from(!post(&name(&format!("quiet-{other}"))));
                }
            }
            highest = highest.max(waiting as f32 / room as f32);
        }
        (refused, highest)
    }

    #[test]
    fn a_flood_leaves_room_for_the_others() {
        let (refused, highest) = burst(64 << 20, 256 * 1024, 2_000, 10, 4096);
        assert_eq!(refused, 0);
        assert!(highest < 0.95, "{highest}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn quiet_sources_are_never_refused(written in 100_000usize..1_000_000, flood in 100usize..1_000, quiet in 1usize..20) {
            let (refused, _) = burst(64 << 20, written, flood, quiet, 1024);
            prop_assert_eq!(refused, 0);
        }
    }
}
