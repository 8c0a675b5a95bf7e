//! A listener: how much its clients may have open and send, and for how long.
use std::time::Duration;

/// What a listener lets its clients have open, and how large and slow their requests may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerLimits {
    /// Connections open at once; more are refused with a 503. Default 10,000.
    pub max_connections: usize,
    /// From the first byte of a request (or from the connection's start) to the end of its head. Default 10 s.
    pub header_timeout: Duration,
    /// How long a connection may be open with nothing asked, or an answer be stuck. Default 60 s.
    pub idle_timeout: Duration,
    /// Header fields in one request; more are answered 431. Default 100.
    pub max_headers: usize,
    /// Bytes of one request's head, at least 8 KiB; more are answered 431. Default 64 KiB; the settings' own for the
    /// ingress is 32 KiB.
    pub max_header_bytes: usize,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_headers: 100,
            max_header_bytes: 64 * 1024,
        }
    }
}
