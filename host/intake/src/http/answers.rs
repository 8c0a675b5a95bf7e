//! What a client is answered that was not refused: the event's id, the source's own words, or a plugin's.
use std::io::Write;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use super::endpoint::Endpoint;
use crate::Outcome;
use hookwright_model::{EventId, Reply};
use hookwright_signing::Answer;

static WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

pub(super) fn received(endpoint: &Endpoint, outcome: Outcome) -> Response<Full<Bytes>> {
    let (status, id) = match outcome {
        Outcome::Durable(id) => (endpoint.success, id),
        Outcome::Duplicate(id) => (StatusCode::OK, id),
    };
    tracing::debug!(source = %endpoint.name(), %id, status = status.as_u16(), "accepted");
    let (body, id) = written(id);
    let json = || HeaderValue::from_static("application/json");
    let (status, content_type, body) = match &endpoint.answer {
        Some(own) => (own.status, own.content_type.clone(), own.body.clone()),
        None => (status, Some(json()), body),
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Some(content_type) = content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    headers.insert(&WEBHOOK_ID, id);
    response
}

/// A plugin's own answer; `webhook-id` names the event all the same.
pub(super) fn plugin_reply(
    endpoint: &Endpoint,
    outcome: Outcome,
    reply: Reply,
) -> Response<Full<Bytes>> {
    let id = outcome.id();
    tracing::debug!(source = %endpoint.name(), %id, status = reply.status.as_u16(), "a plugin answered");
    let mut response = Response::new(Full::new(reply.body));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response.headers_mut().insert(&WEBHOOK_ID, written(id).1);
    response
}

pub(super) fn handshake(endpoint: &Endpoint, answer: Answer) -> Response<Full<Bytes>> {
    tracing::info!(source = %endpoint.name(), status = answer.status.as_u16(), "handshake");
    let mut response = Response::new(Full::new(answer.body.into()));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.extend(answer.headers);
    if let Some(content_type) = answer.content_type {
        headers.insert(header::CONTENT_TYPE, content_type);
    }
    response
}

/// The id as a JSON document and as a header, both in one piece of memory.
fn written(id: EventId) -> (Bytes, HeaderValue) {
    const BEFORE: &str = r#"{"id":""#;
    const AFTER: &str = r#""}"#;
    let mut text = Vec::with_capacity(BEFORE.len() + 30 + AFTER.len());
    write!(text, "{BEFORE}{id}{AFTER}").expect("a vector takes all that is written");
    let body = Bytes::from(text);
    let id = body.slice(BEFORE.len()..body.len() - AFTER.len());
    (body, HeaderValue::from_maybe_shared(id).expect("an id is ASCII"))
}
