//! What Hookwright speaks of: ids, events, verdicts, deliveries and attempts. Pure data, no I/O.
pub mod breaker;
pub mod clock;
mod delivery;
mod event;
pub mod form;
mod id;
mod lenient;
pub mod metrics;
mod name;
mod nearest;
pub mod pointer;
mod port;
mod printable;
mod rate;
mod rejected;
mod replay;
pub mod replies;
mod reply;
pub mod retry;
mod rules;
mod share;
pub mod sliding_counter;
mod state;
pub mod tasks;
pub mod token_bucket;
pub mod trace;
mod verdict;

pub use delivery::{
    Attempt, Cause, Delivery, DeliveryKey, DeliveryState, HeaderEdit, Outcome, Payload,
};
pub use event::{Event, EventState, METHOD, QUERY};
pub use id::{EventId, IdError};
pub use lenient::read_json;
pub use name::{Name, NameError};
pub use nearest::{listed, nearest};
pub use port::other_protocol;
pub use printable::{printable, printable_json, steers, write_printable};
pub use rate::{RATE_UNITS, Rate};
pub use rejected::Rejected;
pub use replay::{ReplayJob, ReplayState};
pub use reply::Reply;
pub use rules::{Flaw, Invalid, Rules, Schema, is_deeper};
pub use share::Share;
pub use state::{StateRow, StateValue};
pub use verdict::{Decision, Digest, Ruling};
