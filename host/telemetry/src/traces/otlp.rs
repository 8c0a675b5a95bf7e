//! Spans as OTLP has them in JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
use serde_json::{Value as Json, json};

use super::{Role, Span, Value};

/// The exporting process, as described in each request.
pub struct Resource {
    /// `service.name`.
    pub service: String,
    /// `service.instance.id`: no other process has it.
    pub instance: String,
}

impl Resource {
    /// `random` becomes the instance's id, a UUID of version 4.
    pub fn new(service: String, random: u128) -> Self {
        let marked = random & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{marked:032x}");
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Self { service, instance: parts.join("-") }
    }
}

/// The partial success of a request: spans that the collector rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The number of rejected spans.
    pub rejected: u64,
    /// The collector's message.
    pub message: String,
}

/// Of an answer with status 2xx; none where it says nothing, or nothing that can be read.
pub fn complaint(answer: &[u8]) -> Option<Complaint> {
    let answer: Json = serde_json::from_slice(answer).ok()?;
    let partial = answer.get("partialSuccess")?;
    // 64 bits are text in this JSON, and some write a number.
    let rejected = match partial.get("rejectedSpans") {
        Some(Json::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    };
    let message = partial.get("errorMessage").and_then(Json::as_str).unwrap_or_default();
    let says = rejected > 0 || !message.is_empty();
    says.then(|| Complaint { rejected, message: message.to_owned() })
}

/// One request's body: ids in hex, times in nanoseconds as text.
pub fn document(resource: &Resource, spans: &[Span]) -> Json {
    let text = |text: &str| Value::Text(text.to_owned());
    let about = [
        ("service.name", text(&resource.service)),
        ("service.version", text(env!("CARGO_PKG_VERSION"))),
        ("service.instance.id", text(&resource.instance)),
    ];
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&about) },
        "scopeSpans": [{
            "scope": { "name": "hookwright" },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Json {
    let nanos = |us: u64| us.saturating_mul(1_000).to_string();
    let kind = match span.role {
        Role::Internal => 1,
        Role::Server => 2,
        Role::Client => 3,
    };
    let mut out = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": kind,
        "startTimeUnixNano": nanos(span.start_us),
        "endTimeUnixNano": nanos(span.start_us.saturating_add(span.took_us)),
        "attributes": attributes(&span.attributes),
        "status": match &span.error {
            None => json!({}),
            Some(message) => json!({ "code": 2, "message": message }),
        },
    });
    if let Some(parent) = span.parent {
        out["parentSpanId"] = format!("{parent:016x}").into();
    }
    out
}

fn attributes(list: &[(&'static str, Value)]) -> Json {
    let one = |(key, value): &(&'static str, Value)| {
        let value = match value {
            Value::Text(text) => json!({ "stringValue": text }),
            Value::Number(number) => json!({ "intValue": number.to_string() }),
        };
        json!({ "key": key, "value": value })
    };
    list.iter().map(one).collect()
}
