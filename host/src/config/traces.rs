//! `[traces]`: which collector gets spans, and of how many events.
use http::{HeaderName, HeaderValue, Uri};

use super::destination::Url;
use super::kind::PERCENT;
use super::reader::Section;
use super::secret::Headers;

#[derive(Debug, Clone)]
pub struct TracesConfig {
    pub endpoint: Uri,
    /// Of a hundred events.
    pub sample: u32,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl TracesConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let doc = "The collector: OTLP over HTTP, as `http://127.0.0.1:4318/v1/traces`. Any address may be named.";
        let endpoint = s.key("endpoint", Url, doc).required();
        let doc = "How many events are traced, of those whose source says nothing in `traceparent`; one that does decides for its events.";
        let sample = s.key("sample", PERCENT, doc).range("0%", "100%").default("1%");
        let doc = "Sent to the collector. A value may be a secret, `env:NAME` or `file:PATH`; `authorization` and `cookie` must be.";
        let headers = s.key("headers", Headers, doc).default("{}");
        Some(Self { endpoint: endpoint?, sample, headers })
    }
}
