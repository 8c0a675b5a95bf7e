//! What is read of an answer at the most. The client asks its library for these limits, and the connector's streams hold
//! them where the library has none.

/// All of an answer's headers together, in bytes.
pub(super) const HEAD_BYTES: usize = 64 * 1024;
/// What is read of a body beyond the excerpt, in bytes, so that the connection can be used again.
pub(super) const DRAIN_BYTES: usize = 64 * 1024;
