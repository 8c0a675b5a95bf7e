//! A delivery as a line of JSON.
use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use hookwright_model::{Delivery, METHOD, QUERY};

#[derive(Serialize)]
struct Line<'l> {
    id: String,
    source: &'l str,
    kind: &'l str,
    received_ms: u64,
    sent_ms: u64,
    attempt: u32,
    content_type: &'l str,
    /// How the source was asked, where that was not by POST, and its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    query: Option<&'l str>,
    /// What a plugin set; none is what it removed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<&'l str, Option<&'l str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'l str>,
    /// In place of `body`, where that is no UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// With its newline. The body stands in it as text, so that every byte of it can be had back.
pub(super) fn line(delivery: &Delivery, at_ms: u64) -> Vec<u8> {
    let (event, payload) = (&delivery.event, delivery.payload.as_ref());
    let kind = payload.and_then(|payload| payload.kind.as_deref());
    let edits = payload.map(|payload| payload.headers.as_slice()).unwrap_or_default();
    let body = std::str::from_utf8(delivery.body());
    let told = |name| event.headers.get(name).and_then(|value| value.to_str().ok());
    let line = Line {
        id: event.id.to_string(),
        source: &event.source,
        kind: kind.unwrap_or(&event.kind),
        received_ms: event.received_ms(),
        sent_ms: at_ms,
        attempt: delivery.attempts.saturating_add(1),
        content_type: delivery.content_type(),
        method: told(&METHOD),
        query: told(&QUERY),
        headers: edits.iter().map(|edit| (edit.name.as_str(), edit.value.as_deref())).collect(),
        body: body.ok(),
        body_base64: body.is_err().then(|| STANDARD.encode(delivery.body())),
    };
    let mut text = Vec::with_capacity(delivery.body().len() + 256);
    serde_json::to_writer(&mut text, &line)
        .expect("texts and numbers are JSON, and a vector takes all");
    text.push(b'\n');
    text
}
