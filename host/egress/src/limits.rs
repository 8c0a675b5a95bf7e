//! The most that is read of a response. The client asks its library for these limits, and the connector's streams hold
//! them where the library has none.

/// All headers of a response together, in bytes.
pub(super) const HEAD_BYTES: usize = 64 * 1024;
/// Bytes of a body that are read beyond the excerpt, so that the connection can be reused.
pub(super) const DRAIN_BYTES: usize = 64 * 1024;
