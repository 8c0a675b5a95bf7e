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
/// And for all that are left, when the host stops.
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
    let mut exporter = Exporter { client, headers, spans, failing: false };
    let stop = tasks.stopping();
    tasks.spawn("traces", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            never = exporter.run() => match never {},
        }
        if tokio::time::timeout(LAST, exporter.flush()).await.is_err() {
            tracing::warn!("the collector of `traces` did not take the last spans in time");
        }
    });
    Ok(Some(taken))
}

impl Exporter {
    async fn run(&mut self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(GATHER).await;
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        loop {
            let mut batch = Vec::new();
            while batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            if batch.is_empty() {
                return;
            }
            self.send(&batch).await;
        }
    }

    /// Once: what a collector does not take is lost, and counted.
    async fn send(&mut self, batch: &[Span]) {
        // Counted also where the host stops meanwhile.
        let mut sent = Sent { count: batch.len() as u64, result: "failed" };
        let body = Bytes::from(document(batch).to_string());
        let headers = self.headers.clone();
        let request = egress::Request { headers, body, timeout: PATIENCE };
        let failure = match self.client.send(request).await {
            Outcome::Answered { status: 200..=299, .. } | Outcome::Taken => None,
            Outcome::Answered { status, .. } => Some(format!("it answered {status}")),
            Outcome::Failed { message, .. } => Some(message),
        };
        if failure.is_none() {
            sent.result = "exported";
        }
        if let (Some(error), false) = (&failure, self.failing) {
            tracing::warn!(error, "the collector of `traces` takes no spans; they are dropped");
        }
        self.failing = failure.is_some();
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        counter!(TRACE_SPANS, "result" => "dropped").increment(self.spans.len() as u64);
    }
}

/// Spans of one request; counted when it is over, however that is.
struct Sent {
    count: u64,
    result: &'static str,
}

impl Drop for Sent {
    fn drop(&mut self) {
        counter!(TRACE_SPANS, "result" => self.result).increment(self.count);
    }
}
