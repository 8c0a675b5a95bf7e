//! A request that was refused, kept for the operator to see why.
use std::net::IpAddr;

use serde::Serialize;

/// What is left of the request: redacted, cut, and never more than about 6 KiB.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Rejected {
    /// The id that its sender got, and that the log has.
    pub request: String,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// The client's address, as far as trusted proxies tell it.
    #[schema(value_type = String)]
    pub client: IpAddr,
    /// As in the metrics.
    pub reason: &'static str,
    /// In words, for the operator only.
    pub cause: String,
    /// The status that it was answered with.
    pub status: u16,
    /// The method of the request.
    pub method: String,
    /// Without the token and the query.
    pub path: String,
    /// Values that may be secrets tell their length only.
    pub headers: Vec<(String, String)>,
    /// The start of the body, as far as it was read; what is no UTF-8 is replaced.
    pub body: String,
    /// Bytes of the whole body; none where it was not read.
    pub body_bytes: Option<usize>,
}
