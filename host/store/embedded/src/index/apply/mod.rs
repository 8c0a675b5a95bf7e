//! What each unit of the index thread's work does to the tables, inside one transaction.
pub(crate) mod apart;
pub(crate) mod applier;
pub(crate) mod aside;
pub(crate) mod deliver;
pub(crate) mod discard;
pub(crate) mod names;
pub(crate) mod order;
pub(crate) mod rein;
pub(crate) mod replays;
pub(crate) mod settle;
pub(crate) mod state;
pub(crate) mod unreadable;
