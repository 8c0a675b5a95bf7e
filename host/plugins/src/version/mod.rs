//! A version: one component of a plugin that serves, with its health, its trial and the marks of its calls.
//!
//! `registry` makes versions and asks them about events. A version decides whether it is called at all
//! (quarantine, crash loops), calls itself through `run`, and counts what came of it.
mod crash_loop;
mod health;
mod ledger;
mod serving;
mod trial;

pub use health::Quarantined;
pub use ledger::{InFlightLedger, LedgerError, PoisonSuspect};
pub(crate) use serving::{Loaded, Version};
pub(crate) use trial::Trial;
pub use trial::TrialCounts;
#[cfg(test)]
pub(crate) use trial::picks;
