//! What each unit of the index thread's work does to the tables, inside one transaction.
//!
//! Each part owns its tables and the statements for them; the [`Applier`] puts them together.
mod applier;
mod aside;
mod conditions;
mod dedupe_keys;
mod deliveries;
mod delivery_rows;
mod discard;
mod events;
mod isolation;
mod locations;
mod names;
mod order_queues;
pub(crate) mod replays;
pub(crate) mod state;
mod sweep;
mod transaction;

pub(crate) use applier::{Applier, Progress};
pub(crate) use isolation::{Refused, apply_isolated};
#[cfg(test)]
pub(crate) use order_queues::{HAS_HEAD, IS_TAKEN, NEXT};
