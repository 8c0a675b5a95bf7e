//! What a lane has learned of its destination's limits on batches, in memory: forgotten, it costs requests and nothing else.
use std::collections::HashSet;

use hookwright_model::{Blame, EventId, Response};
use hookwright_settings::Batch;

/// More deliveries that were refused by themselves are not remembered.
const MOST_ALONE: usize = 4_096;
/// A request is never expected to be smaller, in bytes.
const FEWEST_BYTES: usize = 1_024;

/// What a destination has shown of its own limits on messages: the largest that it
/// takes, and which deliveries spoil one. The lane's batching asks it what goes
/// into a message, so that what was refused once is not tried the same way again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// They were refused when they were alone: they spoil nobody's request again.
    alone: HashSet<EventId>,
    /// What the destination takes at once, where that is less than the settings' size.
    bytes: Option<usize>,
}

impl Known {
    /// For one request.
    pub(super) fn bytes(&self, batch: &Batch) -> usize {
        self.bytes.map_or(batch.bytes, |bytes| bytes.min(batch.bytes))
    }

    /// A request of so many bytes was too large, or went through.
    pub(super) fn learn(&mut self, batch: &Batch, size: usize, response: &Response) {
        let now = self.bytes(batch);
        match response.blame {
            Blame::Size => {
                self.bytes = Some((size.min(now) / 2).max(FEWEST_BYTES));
            }
            // It may take more by now: found out slowly, since each time that it does not costs a request.
            _ if response.is_accepted() && size > now / 2 => {
                self.bytes =
                    Some(now.saturating_add(now / 16)).filter(|bytes| *bytes < batch.bytes);
            }
            _ => {}
        }
    }

    /// Deliveries that leave by themselves.
    pub(super) fn alone(&self) -> &HashSet<EventId> {
        &self.alone
    }

    /// Remembers whether the delivery is to leave by itself the next time.
    pub(super) fn set_alone(&mut self, event: EventId, alone: bool) {
        if !alone {
            self.alone.remove(&event);
        } else if self.alone.len() < MOST_ALONE {
            self.alone.insert(event);
        }
    }
}
