//! The journal thread: the queue before it, deduplication, and one write and one sync for all that waits.
mod active;
mod dedupe;
mod encoder;
pub(crate) mod lookup;
pub(crate) mod queue;
mod staged;
pub(crate) mod tail;
pub(crate) mod thread;
