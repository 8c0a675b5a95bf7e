//! The journal thread: the queue before it, deduplication, and one write and one sync for all that waits.
pub(crate) mod dedupe;
pub(crate) mod lookup;
pub(crate) mod queue;
pub(crate) mod staged;
pub(crate) mod thread;
