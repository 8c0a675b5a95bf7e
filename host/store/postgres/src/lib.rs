//! The event store on PostgreSQL 15 or newer.
//!
//! An event is acknowledged once the database has committed it. Outcomes, deliveries and attempts follow in batches that
//! do not wait for the disk. One host has the database at a time: it holds a lease, and each of its transactions checks
//! that it still does.
//!
//! Rows say which start of which host (an epoch) they are of, so that several hosts fit into the same tables later.
#![deny(missing_docs)]

mod append;
mod apply;
mod batch;
mod changes;
mod claims;
mod codec;
mod columns;
mod connection;
mod engine;
mod error;
mod face;
mod kept;
mod lease;
mod maintenance;
mod open;
mod queries;
mod schema;
mod url;

pub use error::OpenError;
pub use open::{Options, Postgres, open};
pub use url::check;
