//! Inside Wasm: the bindings to the host and what the `#[plugin]` attribute builds on.
use std::cell::OnceCell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Once;

use bindings::exports::hookwright::plugin::{handler, lifecycle};
use bindings::hookwright::plugin::{
    http as host_http, kv as host_kv, log as host_log, responder as host_responder, types,
};

use crate::event::{Head, Lent};
use crate::http::{HttpError, Request, Response};
use crate::kv::KvError;
use crate::log::Level;
use crate::responder::{Answer, BadAnswer};
use crate::{Amendment, Delivery, Error, ErrorKind, Event, HeaderEdit, Plugin, Verdict, settings};

#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated from the contract")]
#[rustfmt::skip]
pub mod bindings;

/// What the component exports for a plugin.
#[doc(hidden)]
pub struct Component<P>(PhantomData<P>);

impl<P: Plugin> lifecycle::Guest for Component<P> {
    fn describe() -> lifecycle::Description {
        report_panics();
        lifecycle::Description {
            name: P::NAME.into(),
            version: P::VERSION.into(),
            summary: P::SUMMARY.into(),
            config_schema: settings::schema::<P::State>(),
        }
    }

    fn init(config_json: String) -> Result<(), Vec<lifecycle::ConfigError>> {
        report_panics();
        let state = settings::load(&config_json).map_err(|errors| {
            let plain = |error: crate::ConfigError| lifecycle::ConfigError {
                path: error.path,
                message: error.message,
            };
            errors.into_iter().map(plain).collect::<Vec<_>>()
        })?;
        // A second init keeps the first settings; the host never calls twice.
        let _kept = P::state().set(state);
        #[cfg(feature = "bump")]
        crate::arena::make_room();
        Ok(())
    }
}

impl<P: Plugin> handler::Guest for Component<P> {
    fn handle(
        event: handler::Event,
        body: &types::Body,
    ) -> Result<handler::Verdict, handler::Failure> {
        let Some(state) = P::state().get() else {
            return Err(handler::Failure::Other("the host did not call init".into()));
        };
        P::handle(receive(event, body), state).map(answer).map_err(fail)
    }
}

/// A body that the host keeps. The handle is the caller's, who drops it when
/// the call ends; a use after that traps in the host, memory stays safe.
struct Borrowed(ManuallyDrop<types::Body>);

impl Lent for Borrowed {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read(&self) -> Vec<u8> {
        self.0.read()
    }

    fn select(&self, pointers: Vec<String>) -> Vec<Option<String>> {
        self.0.select(&pointers)
    }
}

fn receive(event: handler::Event, body: &types::Body) -> Event {
    // SAFETY: the number is a live handle, and `ManuallyDrop` leaves its end to the caller.
    let body = unsafe { types::Body::from_handle(body.handle()) };
    Event {
        head: Head {
            id: event.id,
            source: event.source,
            kind: event.kind,
            content_type: event.content_type,
            received_ms: event.received_ms,
            replay: event.replay,
            attributes: event.attributes,
            headers: event.headers,
        },
        lent: Box::new(Borrowed(ManuallyDrop::new(body))),
        bytes: OnceCell::new(),
    }
}

fn answer(verdict: Verdict) -> handler::Verdict {
    match verdict {
        Verdict::Pass => handler::Verdict::Pass,
        Verdict::Amend(amendment) => handler::Verdict::Amend(amend(amendment)),
        Verdict::Drop(reason) => handler::Verdict::Drop(reason),
        Verdict::Deliver(list) => {
            handler::Verdict::Deliver(list.into_iter().map(deliver).collect())
        }
    }
}

fn amend(amendment: Amendment) -> types::Amendment {
    types::Amendment {
        body: amendment.body,
        content_type: amendment.content_type,
        kind: amendment.kind,
        headers: headers(amendment.headers),
        attributes: amendment.attributes,
    }
}

fn deliver(delivery: Delivery) -> types::Delivery {
    types::Delivery {
        destination: delivery.destination,
        body: delivery.body,
        content_type: delivery.content_type,
        headers: headers(delivery.headers),
        delay_ms: u64::try_from(delivery.delay.as_millis()).unwrap_or(u64::MAX),
        order_key: delivery.order_key,
    }
}

fn headers(edits: Vec<HeaderEdit>) -> Vec<types::HeaderEdit> {
    edits.into_iter().map(|edit| types::HeaderEdit { name: edit.name, value: edit.value }).collect()
}

fn fail(error: Error) -> handler::Failure {
    let message = error.message().to_owned();
    match error.kind() {
        ErrorKind::Retry => handler::Failure::Retry(message),
        ErrorKind::Reject => handler::Failure::Reject(message),
        ErrorKind::Other => handler::Failure::Other(message),
    }
}

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Trace => host_log::Level::Trace,
        Level::Debug => host_log::Level::Debug,
        Level::Info => host_log::Level::Info,
        Level::Warn => host_log::Level::Warn,
        Level::Error => host_log::Level::Error,
    };
    host_log::log(level, message);
}

pub(crate) fn kv_get(key: &str) -> Option<Vec<u8>> {
    host_kv::get(key)
}

pub(crate) fn kv_set(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<(), KvError> {
    host_kv::set(key, value, ttl_ms).map_err(refused)
}

pub(crate) fn kv_delete(key: &str) -> Result<(), KvError> {
    host_kv::delete(key).map_err(refused)
}

pub(crate) fn kv_increment(key: &str, by: i64, ttl_ms: Option<u64>) -> Result<i64, KvError> {
    host_kv::increment(key, by, ttl_ms).map_err(refused)
}

fn refused(error: host_kv::Error) -> KvError {
    match error {
        host_kv::Error::BadKey => KvError::BadKey,
        host_kv::Error::TooLarge => KvError::TooLarge,
        host_kv::Error::Full => KvError::Full,
        host_kv::Error::NoNumber => KvError::NoNumber,
    }
}

pub(crate) fn http_send(request: Request) -> Result<Response, HttpError> {
    let request = host_http::Request {
        method: if request.post { host_http::Method::Post } else { host_http::Method::Get },
        url: request.url,
        headers: request.headers,
        body: request.body,
        timeout_ms: u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX),
    };
    match host_http::send(&request) {
        Ok(host_http::Response { status, headers, body }) => Ok(Response { status, headers, body }),
        Err(host_http::Error::Refused(why)) => Err(HttpError::Refused(why)),
        Err(host_http::Error::Failed(why)) => Err(HttpError::Failed(why)),
        Err(host_http::Error::Timeout) => Err(HttpError::Timeout),
        Err(host_http::Error::TooLarge) => Err(HttpError::TooLarge),
    }
}

pub(crate) fn respond(answer: Answer) -> Result<(), BadAnswer> {
    let Answer { status, headers, body } = answer;
    host_responder::respond(&host_responder::Answer { status, headers, body }).map_err(BadAnswer)
}

/// Wasm has no standard error: without this a panic's text would be lost.
fn report_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())))
    });
}
