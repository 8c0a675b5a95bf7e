//! Hands spans to a collector: OTLP over HTTP, in JSON, in batches, beside everything else.
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use metrics::counter;
use tokio::sync::mpsc::Receiver;

use hookwright_config::TracesConfig;
use hookwright_egress::{Client, Egress, SetupError};
use hookwright_model::Outcome;
use hookwright_model::clock::random_u64;
use hookwright_model::metrics::TRACE_SPANS;
use hookwright_model::tasks::Tasks;
use hookwright_settings::Transport;
use hookwright_telemetry::traces::{
    ANSWER_BYTES, Complaint, Resource, Span, Spans, complaint, document,
};

/// Spans in one request.
const BATCH: usize = 512;
/// A span waits so long for others.
const GATHER: Duration = Duration::from_secs(1);
/// For one request.
const PATIENCE: Duration = Duration::from_secs(10);
/// And for all that are left, when the host stops.
const LAST: Duration = Duration::from_secs(2);

/// Complaints are told so often at most.
const PAUSE: Duration = Duration::from_secs(60);
/// Of a collector's own words, in characters.
const WORDS: usize = 300;

struct Exporter {
    client: Client,
    headers: Arc<ArcSwap<HeaderMap>>,
    resource: Resource,
    spans: Receiver<Span>,
    /// The last request failed, which was told.
    failing: bool,
    complaints: Complaints,
}

/// None where no collector is named.
///
/// # Errors
/// The collector's URL can't be used.
pub(super) fn start(
    config: Option<&TracesConfig>,
    tasks: &Tasks,
) -> Result<Option<Exports>, SetupError> {
    let Some(config) = config else { return Ok(None) };
    let client = client(config)?;
    let headers = Arc::new(ArcSwap::from_pointee(headers(config)));
    let (taken, spans) = Spans::new(config.sample);
    let instance = u128::from(random_u64()) << 64 | u128::from(random_u64());
    let mut exporter = Exporter {
        client,
        headers: headers.clone(),
        resource: Resource::new(config.service.clone(), instance),
        spans,
        failing: false,
        complaints: Complaints::default(),
    };
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
    Ok(Some(Exports { spans: taken, headers }))
}

/// The operator names it, and it is mostly beside the host: any address will do.
///
/// # Errors
/// The collector's URL can't be used.
pub(super) fn client(config: &TracesConfig) -> Result<Client, SetupError> {
    Egress::default().client(hookwright_egress::Options {
        transport: Transport::to_any_address(),
        in_flight: 1,
        excerpt: ANSWER_BYTES,
        ..hookwright_egress::Options::new("traces", config.endpoint.clone())
    })
}

fn headers(config: &TracesConfig) -> HeaderMap {
    let mut headers: HeaderMap = config.headers.iter().cloned().collect();
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// An exporter at work.
#[derive(Clone)]
pub(super) struct Exports {
    /// Takes the spans.
    pub(super) spans: Arc<Spans>,
    headers: Arc<ArcSwap<HeaderMap>>,
}

impl Exports {
    /// Other headers, from the next request on: a token has been changed.
    pub(super) fn reconfigure(&self, config: &TracesConfig) {
        self.headers.store(Arc::new(headers(config)));
    }
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
        let mut sent = Sent { count: batch.len() as u64, rejected: None };
        let body = Bytes::from(document(&self.resource, batch).to_string());
        let headers = HeaderMap::clone(&self.headers.load());
        let request = hookwright_egress::Request { headers, body, timeout: PATIENCE };
        let failure = match self.client.send(request).await {
            Outcome::Answered { status: 200..=299, excerpt, .. } => {
                let complaint = complaint(&excerpt);
                let rejected = complaint.as_ref().map_or(0, |complaint| complaint.rejected);
                sent.rejected = Some(rejected.min(sent.count));
                if let Some(complaint) = complaint {
                    self.complaints.tell(Instant::now(), &complaint);
                }
                None
            }
            Outcome::Accepted => {
                sent.rejected = Some(0);
                None
            }
            Outcome::Answered { status, .. } => Some(format!("it answered {status}")),
            Outcome::Failed { message, .. } => Some(message),
        };
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

/// When a collector's complaints were told, and what was not since.
#[derive(Default)]
struct Complaints {
    told: Option<Instant>,
    rejected: u64,
}

impl Complaints {
    fn tell(&mut self, now: Instant, complaint: &Complaint) {
        let Some(rejected) = self.due(now, complaint.rejected) else { return };
        let words: String = complaint.message.chars().take(WORDS).collect();
        tracing::warn!(
            rejected,
            says = ?words,
            "the collector of `traces` complains; spans that it rejected are lost"
        );
    }

    /// Spans rejected since it was told last, where it is time again.
    fn due(&mut self, now: Instant, rejected: u64) -> Option<u64> {
        self.rejected = self.rejected.saturating_add(rejected);
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.rejected))
    }
}

/// Spans of one request; counted when it is over, however that is.
struct Sent {
    count: u64,
    /// Of those; none where it took none.
    rejected: Option<u64>,
}

impl Drop for Sent {
    fn drop(&mut self) {
        let count = |result: &'static str, spans: u64| {
            if spans > 0 {
                counter!(TRACE_SPANS, "result" => result).increment(spans);
            }
        };
        match self.rejected {
            None => count("failed", self.count),
            Some(rejected) => {
                count("exported", self.count.saturating_sub(rejected));
                count("rejected", rejected);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_told_once_a_minute_and_counted_between() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let mut due = |seconds: u64, rejected: u64| {
            complaints.due(start + Duration::from_secs(seconds), rejected)
        };
        assert_eq!(due(0, 3), Some(3));
        assert_eq!([due(1, 2), due(59, 1)], [None, None]);
        assert_eq!(due(60, 4), Some(7));
        assert_eq!(due(61, 0), None);
        assert_eq!(due(200, 0), Some(0));
    }
}
