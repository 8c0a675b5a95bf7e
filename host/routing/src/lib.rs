//! Routes stored events: each goes through its source's plugins in order, and becomes deliveries.
//!
//! There is one lane a source, so that a source whose plugins are slow delays only itself. What does not fit into a
//! lane's memory is read from the store's rows later, and so is what an earlier run left there.
#![deny(missing_docs)]

mod lane;
mod pipeline;
mod preview;
mod router;
mod run;
mod shared;
mod window;

#[cfg(test)]
mod tests;

pub use pipeline::{FirstWaits, Known, Orders, Pipeline, Pipelines, Step};
pub use preview::PreviewRefused;
pub use router::Router;
