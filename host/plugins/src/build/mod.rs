//! From a component's bytes to native code: compile, set up, snapshot, probe, keep.
pub(crate) mod cache;
pub(crate) mod compile;
pub(crate) mod exported;
pub(crate) mod pipeline;
pub(crate) mod snapshot;
