//! The build: from a component's bytes to native code that has passed the gate and its probe.
//!
//! It runs in a child process of its own with limits, and its product is kept in the cache. `registry`
//! asks for it when a file changes; the commands for authors ask for it alone.
mod cache;
mod compile;
mod exported;
mod job;
mod pipeline;
mod probe;
mod snapshot;

pub use cache::CacheError;
pub(crate) use cache::{Cache, Key};
pub use compile::{Compiler, compile_child_main};
pub(crate) use job::{Built, Job};
#[cfg(test)]
pub(crate) use pipeline::build;
pub(crate) use probe::{capabilities as probe_capabilities, probe};
