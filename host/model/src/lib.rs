//! What Hookwright speaks of: ids, events, verdicts, deliveries and attempts. Pure data, no I/O.
#![deny(missing_docs)]
pub mod breaker;
pub mod clock;
pub mod date;
mod delivery;
mod event;
pub mod form;
mod id;
mod lenient;
pub mod metrics;
mod name;
mod nearest;
mod order;
pub mod plugin;
pub mod pointer;
mod port;
mod printable;
mod rate;
mod rejected;
mod replay;
pub mod replies;
mod reply;
mod response;
pub mod retry;
mod rules;
mod scope;
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
pub use order::Order;
pub use port::other_protocol;
pub use printable::{printable, printable_json, steers, write_printable};
pub use rate::{RATE_UNITS, Rate};
pub use rejected::Rejected;
pub use replay::{ReplayJob, ReplayState};
pub use reply::Reply;
pub use response::{Blame, Disposition, Response};
pub use rules::{Flaw, Invalid, Rules, Schema, is_deeper};
pub use scope::Scope;
pub use share::Share;
pub use state::{StateRow, StateValue};
pub use verdict::{Decision, Digest, VerdictRecord};
