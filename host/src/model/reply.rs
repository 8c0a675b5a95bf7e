//! What a plugin answers to the request that brought an event.
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// An answer in place of the usual 202.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 499.
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}
