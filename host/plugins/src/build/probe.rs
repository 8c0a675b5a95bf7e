//! The probe: an event that no source sends, so that a component fails before it serves and not after.
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;

use crate::gate::{GateError, Shape};
use crate::run::{
    Call, Capabilities, Code, Fault, Keyspace, LaneHint, NetworkPolicy, Setup, SlowLane, Verdict,
    call,
};
use hookwright_model::clock::Clock;
use hookwright_model::plugin::Limits;
use hookwright_model::{Event, EventId, Name};

/// What a probe has: a state that is empty and forgotten afterwards, and nobody outside.
pub(crate) fn capabilities(shape: &Shape, plugin: &Name, grants: &[String]) -> Capabilities {
    let space = shape.wants("kv").then(|| Keyspace::new(plugin.clone(), Clock::system()));
    let (network, responds) = (NetworkPolicy::of(grants, None), shape.wants("responder"));
    Capabilities { space, network, responds }
}

/// Sends an event through that no source sends. A plugin may refuse it, but it
/// must answer.
pub(crate) async fn probe(
    code: &Arc<Code>,
    plugin: &str,
    limits: &Limits,
    capabilities: &Capabilities,
    lane: &SlowLane,
) -> Result<String, GateError> {
    let name = |text: &str| -> Result<Name, GateError> {
        text.parse().map_err(|error| GateError::Probe(format!("{error}")))
    };
    let mut headers = HeaderMap::new();
    let json = http::HeaderValue::from_static("application/json");
    headers.insert(http::header::CONTENT_TYPE, json);
    let event = Event {
        id: EventId::new(0, 0),
        received_ms: 0,
        source: name("hookwright")?,
        kind: "hookwright.probe".into(),
        headers,
        body: Bytes::from_static(b"{}"),
    };
    let asked = Call::about(&event);
    let plugin = name(plugin)?;
    let hint = LaneHint::default();
    let setup = Setup {
        code,
        plugin: &plugin,
        limits,
        headers: &[],
        capabilities,
        pool: None,
        hint: &hint,
    };
    match call(&setup, lane, &asked, ()).await.result {
        Ok(Verdict::Pass) => Ok("pass".into()),
        Ok(Verdict::Amend(_)) => Ok("amend".into()),
        Ok(Verdict::Drop(reason)) => Ok(format!("drop: {reason}")),
        Ok(Verdict::Deliver(targets)) => Ok(format!("deliver to {}", targets.len())),
        Err(fault @ (Fault::Retry(_) | Fault::Reject(_) | Fault::Other(_))) => {
            Ok(fault.to_string())
        }
        Err(fault) => Err(GateError::Probe(fault.to_string())),
    }
}
