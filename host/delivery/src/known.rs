//! What a lane has learned of its destination's limits on batches, in memory: forgotten, it costs requests and nothing else.
use std::collections::HashSet;

use super::lane::Lane;
use hookwright_model::{EventId, Outcome};
use hookwright_settings::Batch;

/// More deliveries that were refused by themselves are not remembered.
const MOST_ALONE: usize = 4_096;
/// A request is never expected to be smaller, in bytes.
const FEWEST_BYTES: usize = 1_024;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// They were refused when they were alone: they spoil nobody's request again.
    pub(super) alone: HashSet<EventId>,
    /// What the destination takes at once, where that is less than the settings' size.
    bytes: Option<usize>,
}

impl Known {
    /// For one request.
    pub(super) fn bytes(&self, batch: &Batch) -> usize {
        self.bytes.map_or(batch.bytes, |bytes| bytes.min(batch.bytes))
    }

    /// A request of so many bytes was too large, or went through.
    fn learn(&mut self, batch: &Batch, size: usize, outcome: &Outcome) {
        let now = self.bytes(batch);
        match outcome {
            Outcome::Answered { status: 413, .. } => {
                self.bytes = Some((size.min(now) / 2).max(FEWEST_BYTES));
            }
            // It may take more by now: found out slowly, since each time that it does not costs a request.
            outcome if outcome.is_success() && size > now / 2 => {
                self.bytes =
                    Some(now.saturating_add(now / 16)).filter(|bytes| *bytes < batch.bytes);
            }
            _ => {}
        }
    }
}

impl Lane {
    /// Bytes of one request, at the most.
    pub(super) fn batch_bytes(&self, batch: &Batch) -> usize {
        self.inner.lock().known.bytes(batch)
    }

    /// Takes in what became of a request with several deliveries.
    pub(super) fn learn_bytes(&self, batch: &Batch, size: usize, outcome: &Outcome) {
        self.inner.lock().known.learn(batch, size, outcome);
    }

    /// Remembers whether the delivery is to have no company the next time.
    pub(super) fn goes_alone(&self, event: EventId, alone: bool) {
        let mut inner = self.inner.lock();
        let known = &mut inner.known.alone;
        if !alone {
            known.remove(&event);
        } else if known.len() < MOST_ALONE {
            known.insert(event);
        }
    }
}
