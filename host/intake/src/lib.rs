//! The way in: what is done with any event before it is durable, and the protocols by which events come.
//!
//! [`Intake`] is what every way in calls with an event that is known to be a source's own: rate, loop check,
//! decompression, extraction of kind and deduplication key, validation, fair queueing, and the append. It knows
//! nothing of the protocol, and a sender gets its acknowledgement only after [`Intake::take`] has answered.
//!
//! [`http`] is the way in that exists: it finds the source by the path, verifies the request, and answers with a
//! status. A consumer of a broker would be a second one, beside it.
#![deny(missing_docs)]

pub mod http;

mod decode;
mod extraction;
mod fair_queue;
mod intake;
mod meters;
mod options;
mod refusal;
mod source;

#[cfg(test)]
mod tests;

pub use decode::DecodeError;
pub use intake::{Attributes, Candidate, Intake, Options, Outcome};
use options::Rate;
pub use refusal::{Class, Refusal};
pub use source::Source;
