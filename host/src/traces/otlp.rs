//! Spans as OTLP has them in JSON (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
use serde_json::{Value as Json, json};

use super::{Role, Span, Value};

/// One request's body: ids in hex, times in nanoseconds as text.
pub fn document(spans: &[Span]) -> Json {
    let resource = [
        ("service.name", Value::Text("hookwright".to_owned())),
        ("service.version", Value::Text(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&resource) },
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
