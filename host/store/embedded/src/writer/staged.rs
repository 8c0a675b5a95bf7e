//! One batch of the journal between encoding and its sync, and what each part is told afterwards.
use std::sync::Arc;

use super::queue::{Done, Job, Known};
use super::thread::Writer;
use crate::index::ops::{Accepted, Moved, Op, Reply, RoutedOp, Scanned};
use crate::journal::record::{self, EventRef, Key};
use crate::journal::segment::Locator;
use hookwright_model::clock::millis;
use hookwright_model::{Event, EventId, EventState, Payload};
use hookwright_store::{AppendError, Appended, NewEvent, Routed, StoreError};

/// What waits for the sync.
pub(crate) enum Staged {
    Event {
        accepted: Accepted,
        done: Done,
    },
    Answer(Answer),
    /// A duplicate of the event with this row.
    Duplicate {
        row: i64,
        id: EventId,
        done: Done,
    },
    Routed(RoutedOp),
}

/// An answer that may be given once the batch is durable.
pub(crate) enum Answer {
    Append(Done, Result<Appended, AppendError>),
    Relocate(Reply<Vec<Moved>>, Result<Vec<Moved>, StoreError>),
    Rotate(Reply<()>, Result<(), StoreError>),
}

impl Answer {
    /// Whoever asked may be gone; then nobody needs the answer.
    pub(crate) fn give(self) {
        match self {
            Self::Append(done, result) => drop(done.send(result)),
            Self::Relocate(reply, result) => drop(reply.send(result)),
            Self::Rotate(reply, result) => drop(reply.send(result)),
        }
    }
}

impl Staged {
    /// After the sync: what to hand on, what the index is told, who is answered.
    pub(crate) fn split(
        self,
        events: &mut Vec<Arc<Event>>,
        indexed: &mut Vec<Op>,
        answers: &mut Vec<Answer>,
    ) {
        match self {
            Self::Event { accepted, done } => {
                let id = accepted.event.id;
                events.push(Arc::clone(&accepted.event));
                indexed.push(Op::Accepted(accepted));
                answers.push(Answer::Append(done, Ok(Appended::New(id))));
            }
            Self::Duplicate { id, done, .. } => {
                answers.push(Answer::Append(done, Ok(Appended::Duplicate(id))));
            }
            Self::Routed(op) => indexed.push(Op::Routed(op)),
            Self::Answer(answer) => answers.push(answer),
        }
    }

    /// After a failed write: everyone is told; an outcome of routing comes back
    /// for another try. Events up to `durable` were written before.
    pub(crate) fn fail(self, error: &AppendError, durable: i64) -> Option<Routed> {
        match self {
            Self::Event { done, .. } => Answer::Append(done, Err(error.clone())).give(),
            Self::Duplicate { row, id, done } => {
                let known = row <= durable;
                let result = if known { Ok(Appended::Duplicate(id)) } else { Err(error.clone()) };
                Answer::Append(done, result).give();
            }
            Self::Routed(op) => return Some(op.routed),
            Self::Answer(Answer::Relocate(reply, _)) => {
                Answer::Relocate(reply, Err(error.clone().into())).give();
            }
            Self::Answer(answer) => answer.give(),
        }
        None
    }
}

impl Writer {
    /// Encodes the jobs into the buffer, to be written at `place`.
    pub(crate) fn stage(
        &mut self,
        jobs: Vec<Job>,
        (now_ms, sure_ms): (u64, u64),
        mut place: (u32, u64),
    ) -> Vec<Staged> {
        let mut staged = Vec::with_capacity(jobs.len());
        for job in jobs {
            staged.push(match job {
                Job::Append { event, done, known } => {
                    self.stage_event(event, (done, known), (now_ms, sure_ms), place)
                }
                Job::Payloads(routed) => Staged::Routed(self.stage_payloads(routed, place)),
                Job::Relocate { records, reply } => {
                    let carried = self.stage_relocated(&records, place);
                    Staged::Answer(Answer::Relocate(reply, carried))
                }
                Job::Rotate { before_ms, reply } => {
                    // Only between batches, when nothing is staged behind the old end.
                    let due = self.is_before(before_ms) && self.buffer.is_empty();
                    let rotated = if due { self.rotate() } else { Ok(place) };
                    let told = match rotated {
                        Ok(new) => {
                            place = new;
                            Ok(())
                        }
                        Err(error) => Err(crate::error::refusal(&error).into()),
                    };
                    Staged::Answer(Answer::Rotate(reply, told))
                }
            });
        }
        staged
    }

    fn stage_event(
        &mut self,
        event: NewEvent,
        (done, known): (Done, Result<Known, Arc<str>>),
        (now_ms, sure_ms): (u64, u64),
        place: (u32, u64),
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
                let id = EventId::new(first, self.context.segments.node);
                return Staged::Duplicate { row: first, id, done };
            }
        }
        let (start, salt) = (self.buffer.len(), self.salt());
        let written = EventRef {
            row,
            received_ms: now_ms,
            source: &source,
            kind: &kind,
            headers: &headers,
            body: &body,
            key,
        };
        if !record::put_event(&mut self.buffer, salt, &written) {
            self.dedupe.undo(self.last_row);
            return Staged::Answer(Answer::Append(done, Err(AppendError::TooLarge)));
        }
        self.last_row = row;
        let id = EventId::new(row, self.context.segments.node);
        let event = Arc::new(Event { id, received_ms: now_ms, source, kind, headers, body });
        let at = self.locator(start, place);
        Staged::Event { accepted: Accepted { event, at, key }, done }
    }

    /// The record from `start` to the buffer's end, once it is written at `place`.
    fn locator(&self, start: usize, (segment, end): (u32, u64)) -> Locator {
        let length = (self.buffer.len() - start) as u32;
        Locator { segment, offset: end + start as u64, length }
    }

    /// One record for each payload; deliveries that share one share its record.
    fn stage_payloads(&mut self, mut routed: Routed, place: (u32, u64)) -> RoutedOp {
        let (row, salt) = (routed.event.id.row(), self.salt());
        let mut places: Vec<Option<Locator>> = Vec::with_capacity(routed.deliveries.len());
        let mut written: Vec<(Arc<Payload>, Locator)> = Vec::new();
        let mut too_large = false;
        for delivery in &routed.deliveries {
            let Some(payload) = delivery.payload.as_ref().filter(|p| !p.is_original()) else {
                places.push(None);
                continue;
            };
            if let Some((_, at)) = written.iter().find(|(own, _)| Arc::ptr_eq(own, payload)) {
                places.push(Some(*at));
                continue;
            }
            let start = self.buffer.len();
            too_large |= !record::put_payload(&mut self.buffer, salt, row, payload);
            let at = self.locator(start, place);
            written.push((Arc::clone(payload), at));
            places.push(Some(at));
        }
        if too_large {
            routed.state = EventState::Parked;
            routed.reason = Some("a payload is larger than the journal can hold".into());
            routed.deliveries.clear();
            places.clear();
        }
        let mut op = RoutedOp::new(routed);
        op.payloads = places;
        op
    }

    /// Copies of records, out of a segment that is about to be dropped.
    fn stage_relocated(
        &mut self,
        records: &[Scanned],
        place: (u32, u64),
    ) -> Result<Vec<Moved>, StoreError> {
        let (before, salt) = (self.buffer.len(), self.salt());
        let mut moved = Vec::with_capacity(records.len());
        for scanned in records {
            let start = self.buffer.len();
            let origin = (scanned.at.segment, scanned.at.offset);
            let read = self.context.segments.read(scanned.at);
            let copied = read.map(|(head, content)| {
                record::put_relocated(&mut self.buffer, salt, head, &content, origin)
            });
            match copied {
                Ok(true) => {}
                Ok(false) => {
                    self.buffer.truncate(before);
                    return Err(AppendError::TooLarge.into());
                }
                Err(error) => {
                    self.buffer.truncate(before);
                    return Err(error.into());
                }
            }
            let to = self.locator(start, place);
            moved.push(Moved { row: scanned.row, tag: scanned.tag, from: scanned.at, to });
        }
        Ok(moved)
    }
}
