//! One batch of the journal between encoding and its sync, and what each part is told afterwards.
use std::sync::Arc;

use super::queue::Done;
use crate::index::ops::{Accepted, Moved, Op, Reply, RoutedOp};
use hookwright_model::{Event, EventId};
use hookwright_store::{AppendError, Appended, StoreError};

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
    pub(crate) fn fail(self, error: &AppendError, durable: i64) -> Option<RoutedOp> {
        match self {
            Self::Event { done, .. } => Answer::Append(done, Err(error.clone())).give(),
            Self::Duplicate { row, id, done } => {
                let known = row <= durable;
                let result = if known { Ok(Appended::Duplicate(id)) } else { Err(error.clone()) };
                Answer::Append(done, result).give();
            }
            Self::Routed(op) => return Some(op),
            Self::Answer(Answer::Relocate(reply, _)) => {
                Answer::Relocate(reply, Err(error.clone().into())).give();
            }
            Self::Answer(answer) => answer.give(),
        }
        None
    }
}
