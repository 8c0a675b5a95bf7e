//! Routes stored events: each goes through its source's plugins in order, and becomes deliveries.
//!
//! Each source has a lane, so that a source with slow plugins delays only itself. Events that do not fit into a
//! lane's memory are read from the store's rows later, and so are those that an earlier run left there.
#![deny(missing_docs)]

mod lane;
mod pipeline;
mod preview;
mod router;
mod run;
mod services;
mod window;

#[cfg(test)]
mod tests;

pub use pipeline::{FirstWaits, Known, Orders, Pipeline, Pipelines, Step};
pub use preview::PreviewRefused;
pub use router::Router;
