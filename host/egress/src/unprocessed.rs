//! Failures over HTTP/2 by which the receiver says that it did nothing with a request (RFC 9113, 8.7), so that it can
//! be sent again without being sent twice.
use std::error::Error;

use hyper_util::client::legacy;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unprocessed {
    /// The stream was refused (REFUSED_STREAM); the connection may be well.
    Stream,
    /// The connection ended before the request, or with a GOAWAY whose last stream is an earlier one.
    Connection,
}

/// None where the receiver may have begun with the request. `has_body`: the request is not whole with its head.
pub(super) fn unprocessed(error: &legacy::Error, has_body: bool) -> Option<Unprocessed> {
    let own = error.source()?.downcast_ref::<hyper::Error>()?;
    // The second: it waited in the library for a free stream when the connection ended, and nothing of its body was
    // sent. The library counts that among the errors of its user; there is no other of those over HTTP/2.
    if own.is_canceled() || (own.is_user() && has_body) {
        return Some(Unprocessed::Connection);
    }
    let said = own.source()?.downcast_ref::<h2::Error>()?;
    if !said.is_remote() {
        return None;
    }
    if said.is_go_away() {
        // Streams up to the last one of a GOAWAY continue, and fail with another error if the connection does.
        return Some(Unprocessed::Connection);
    }
    let refused = said.is_reset() && said.reason() == Some(h2::Reason::REFUSED_STREAM);
    refused.then_some(Unprocessed::Stream)
}
