//! Encoding a batch: what is asked of the journal becomes records in one buffer, which is then written with one call.
use std::sync::Arc;

use super::dedupe::Dedupe;
use super::queue::{Done, Known};
use super::staged::{Answer, Staged};
use crate::index::ops::{Accepted, Moved, RoutedOp};
use crate::journal::locator::{Locator, Position};
use crate::journal::record::{self, EventRef, Key, Salt};
use crate::journal::scan::Scanned;
use crate::journal::segments::Segments;
use hookwright_model::clock::millis;
use hookwright_model::{Event, EventId, EventState, Payload};
use hookwright_store::{AppendError, NewEvent, StoreError};

/// A larger buffer is given back after the batch.
const BUFFER: usize = 1 << 20;

/// When a batch is written, milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchTime {
    /// By the clock; it may be wrong.
    pub(super) now_ms: u64,
    /// By which deduplication windows are measured.
    pub(super) sure_ms: u64,
}

/// Gives events their rows, claims their deduplication keys, and encodes records. Owned by the writer.
pub(super) struct Encoder {
    segments: Arc<Segments>,
    buffer: Vec<u8>,
    /// Where the buffer will be written, and the salt of that segment.
    base: Position,
    salt: Salt,
    /// The last row that was given.
    last_row: i64,
    dedupe: Dedupe,
}

impl Encoder {
    pub(super) fn new(segments: Arc<Segments>, last_row: i64) -> Self {
        Self {
            segments,
            buffer: Vec::new(),
            base: Position::default(),
            salt: Salt::NONE,
            last_row,
            dedupe: Dedupe::default(),
        }
    }

    /// What is encoded from now on will be written there. To be called while the buffer is empty.
    pub(super) fn start_at(&mut self, base: Position, salt: Salt) {
        (self.base, self.salt) = (base, salt);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what was encoded, once it is written or can't be.
    pub(super) fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
    }

    pub(super) fn last_row(&self) -> i64 {
        self.last_row
    }

    /// Events after this row were not written: their keys are free again.
    pub(super) fn release_keys_after(&mut self, durable_row: i64) {
        self.dedupe.undo(durable_row);
    }

    /// An event, or the answer to it where it is a duplicate or can't be written.
    pub(super) fn event(
        &mut self,
        event: NewEvent,
        (done, known): (Done, Result<Known, Arc<str>>),
        BatchTime { now_ms, sure_ms }: BatchTime,
    ) -> Staged {
        let NewEvent { source, kind, headers, body, dedupe } = event;
        let row = EventId::next_row(self.last_row, now_ms);
        let key = dedupe.map(|dedupe| Key {
            key: dedupe.key,
            expires_ms: sure_ms.saturating_add(millis(dedupe.window)),
        });
        if let Some(key) = key {
            let known = match known {
                Ok(known) => known,
                Err(why) => {
                    return Staged::Answer(Answer::Append(done, Err(AppendError::Failed(why))));
                }
            };
            if let Some(first) = self.dedupe.claim(&source, key, row, sure_ms, known) {
                let id = EventId::new(first, self.segments.node);
                return Staged::Duplicate { row: first, id, done };
            }
        }
        let start = self.buffer.len();
        let written = EventRef {
            row,
            received_ms: now_ms,
            source: &source,
            kind: &kind,
            headers: &headers,
            body: &body,
            key,
        };
        if !record::put_event(&mut self.buffer, self.salt, &written) {
            self.dedupe.undo(self.last_row);
            return Staged::Answer(Answer::Append(done, Err(AppendError::TooLarge)));
        }
        self.last_row = row;
        let id = EventId::new(row, self.segments.node);
        let event = Arc::new(Event { id, received_ms: now_ms, source, kind, headers, body });
        let at = self.locator(start);
        Staged::Event { accepted: Accepted { event, at, key }, done }
    }

    /// The payloads of an outcome of routing, one record for each; deliveries that share one share its record.
    pub(super) fn payloads(&mut self, mut op: RoutedOp) -> RoutedOp {
        let routed = &mut op.routed;
        let row = routed.event.id.row();
        let mut locators: Vec<Option<Locator>> = Vec::with_capacity(routed.deliveries.len());
        let mut written: Vec<(Arc<Payload>, Locator)> = Vec::new();
        let mut too_large = false;
        for delivery in &routed.deliveries {
            let Some(payload) = delivery.payload.as_ref().filter(|p| !p.is_original()) else {
                locators.push(None);
                continue;
            };
            if let Some((_, at)) = written.iter().find(|(own, _)| Arc::ptr_eq(own, payload)) {
                locators.push(Some(*at));
                continue;
            }
            let start = self.buffer.len();
            too_large |= !record::put_payload(&mut self.buffer, self.salt, row, payload);
            let at = self.locator(start);
            written.push((Arc::clone(payload), at));
            locators.push(Some(at));
        }
        if too_large {
            routed.state = EventState::Parked;
            routed.reason = Some("a payload is larger than the journal can hold".into());
            routed.deliveries.clear();
            locators.clear();
        }
        op.payloads = locators;
        op
    }

    /// Copies of records, out of a segment that is about to be dropped: all of them or none.
    pub(super) fn copies(&mut self, records: &[Scanned]) -> Result<Vec<Moved>, StoreError> {
        let before = self.buffer.len();
        let copied: Result<Vec<Moved>, StoreError> =
            records.iter().map(|scanned| self.copy(scanned)).collect();
        if copied.is_err() {
            self.buffer.truncate(before);
        }
        copied
    }

    fn copy(&mut self, scanned: &Scanned) -> Result<Moved, StoreError> {
        let start = self.buffer.len();
        let origin = (scanned.at.segment, scanned.at.offset);
        let (head, content) = self.segments.read(scanned.at)?;
        if !record::put_relocated(&mut self.buffer, self.salt, head, &content, origin) {
            return Err(AppendError::TooLarge.into());
        }
        let to = self.locator(start);
        Ok(Moved { row: scanned.row, tag: scanned.tag, from: scanned.at, to })
    }

    /// Where the record from `start` to the buffer's end will be.
    fn locator(&self, start: usize) -> Locator {
        let length = (self.buffer.len() - start) as u32;
        let Position { segment, offset } = self.base;
        Locator { segment, offset: offset + start as u64, length }
    }
}
