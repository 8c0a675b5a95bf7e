//! Hands spans to a collector: OTLP over HTTP, in JSON, in batches, beside everything else.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use metrics::counter;
use tokio::sync::mpsc::Receiver;

use crate::config::TracesConfig;
use crate::egress::{self, Client, Egress, SetupError, Transport};
use crate::metrics::TRACE_SPANS;
use crate::model::Outcome;
use crate::tasks::Tasks;
use crate::traces::{Span, Spans, document};

/// Spans in one request.
const BATCH: usize = 512;
/// A span waits so long for others.
const GATHER: Duration = Duration::from_secs(1);
/// For one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// And for the last one, when the host stops.
const LAST: Duration = Duration::from_secs(2);

struct Exporter {
    client: Client,
    headers: HeaderMap,
    spans: Receiver<Span>,
    /// The last request failed, which was told.
    failing: bool,
}

/// None where no collector is named.
///
/// # Errors
/// The collector's URL can't be used.
pub(super) fn start(
    config: Option<&TracesConfig>,
    tasks: &Tasks,
) -> Result<Option<Arc<Spans>>, SetupError> {
    let Some(config) = config else { return Ok(None) };
    // The operator names it, and it is mostly beside the host: any address will do.
    let client = Egress::default().client(egress::Options {
        transport: Transport::to_any_address(),
        in_flight: 1,
        ..egress::Options::new("traces", config.endpoint.clone())
    })?;
    let mut headers: HeaderMap = config.headers.iter().cloned().collect();
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let (taken, spans) = Spans::new(config.sample);
    let stop = tasks.stopping();
    let mut exporter = Exporter { client, headers, spans, failing: false };
    tasks.spawn("traces", async move {
        loop {
            let mut batch = Vec::with_capacity(BATCH);
            let first = tokio::select! {
                () = stop.cancelled() => None,
                first = exporter.spans.recv() => first,
            };
            let Some(first) = first else { break };
            batch.push(first);
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(GATHER) => {}
            }
            while exporter.fill(&mut batch) {
                exporter.send(&batch, PATIENCE).await;
                batch.clear();
            }
        }
        let mut batch = Vec::new();
        if exporter.fill(&mut batch) {
            exporter.send(&batch, LAST).await;
        }
    });
    Ok(Some(taken))
}

impl Exporter {
    /// Adds what waits. False where there is nothing to send.
    fn fill(&mut self, batch: &mut Vec<Span>) -> bool {
        while batch.len() < BATCH
            && let Ok(span) = self.spans.try_recv()
        {
            batch.push(span);
        }
        !batch.is_empty()
    }

    /// Once: what a collector does not take is lost, and counted.
    async fn send(&mut self, batch: &[Span], timeout: Duration) {
        let body = Bytes::from(document(batch).to_string());
        let headers = self.headers.clone();
        let outcome = self.client.send(egress::Request { headers, body, timeout }).await;
        let failure = match outcome {
            Outcome::Answered { status: 200..=299, .. } | Outcome::Taken => None,
            Outcome::Answered { status, .. } => Some(format!("it answered {status}")),
            Outcome::Failed { message, .. } => Some(message),
        };
        let result = if failure.is_some() { "failed" } else { "exported" };
        counter!(TRACE_SPANS, "result" => result).increment(batch.len() as u64);
        if let (Some(error), false) = (&failure, self.failing) {
            tracing::warn!(error, "the collector of `traces` takes no spans; they are dropped");
        }
        self.failing = failure.is_some();
    }
}
