//! Turns the client's errors into a cause and one line of text.
use std::error::Error;
use std::io;

use hyper_util::client::legacy;

use super::connect_error::ConnectError;
use super::stream::Abort;
use hookwright_model::{Cause, Outcome};

/// Longer messages are cut, so that a destination can't fill the log with them.
const LONGEST: usize = 300;

pub(super) fn failed(cause: Cause, message: &str) -> Outcome {
    let clean = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    Outcome::Failed { cause, message: clean.take(LONGEST).collect() }
}

pub(super) fn classify(error: &legacy::Error) -> Outcome {
    let Some(source) = error.source() else { return failed(Cause::Protocol, &error.to_string()) };
    if let Some(connect) = source.downcast_ref::<ConnectError>() {
        return failed(connect_cause(connect), &chain(connect));
    }
    failed(cause(error, source), &chain(source))
}

/// Over HTTP/2, where the library counts a request among the errors of its user that waited for a
/// free stream when the connection ended. The request is not at fault and may be tried again.
pub(super) fn classify_h2(error: &legacy::Error) -> Outcome {
    match classify(error) {
        Outcome::Failed { cause: Cause::Request, message } => {
            Outcome::Failed { cause: Cause::Protocol, message }
        }
        outcome => outcome,
    }
}

fn connect_cause(error: &ConnectError) -> Cause {
    match error {
        ConnectError::Dns { .. } => Cause::Dns,
        ConnectError::Refused { .. } | ConnectError::Name { .. } => Cause::Refused,
        ConnectError::Tcp { .. } | ConnectError::Proxy(_) => Cause::Connect,
        ConnectError::Slow(_) | ConnectError::SlowTls(_) => Cause::Timeout,
        ConnectError::Tls(_) => Cause::Tls,
    }
}

fn cause(error: &legacy::Error, source: &(dyn Error + 'static)) -> Cause {
    if links(source).any(inner::<rustls::Error>) {
        return Cause::Tls;
    }
    if links(source).any(is_silent) {
        return Cause::Timeout;
    }
    match source.downcast_ref::<hyper::Error>() {
        Some(own) if own.is_user() => Cause::Request,
        // An HTTP/2 ping without a reply.
        Some(own) if own.is_timeout() => Cause::Timeout,
        _ if error.is_connect() => Cause::Connect,
        _ => Cause::Protocol,
    }
}

/// In TLS 1.3 a server may refuse after the handshake seems done: then the
/// error stands in one of the connection.
fn inner<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    within(error).is_some_and(|inner| inner.is::<E>())
}

fn is_silent(error: &(dyn Error + 'static)) -> bool {
    within(error).is_some_and(|inner| matches!(inner.downcast_ref(), Some(Abort::Silent(_))))
}

fn within<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + Send + Sync + 'static)> {
    error.downcast_ref::<io::Error>().and_then(io::Error::get_ref)
}

fn links<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let link = next?;
        next = link.source();
        Some(link)
    })
}

/// The error and its causes, without repetitions.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for link in links(error) {
        let more = link.to_string();
        if text.is_empty() {
            text = more;
        } else if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    text
}
