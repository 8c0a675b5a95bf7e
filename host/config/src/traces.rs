//! `[traces]`: which collector gets spans, of how many events, and under which name.
use http::{HeaderName, HeaderValue, Uri};

use super::destination::Url;
use super::kind::{Part, Text};
use super::reader::Section;
use super::secret::Headers;
use super::unit::{Fault, quote};
use hookwright_model::Share;

/// `[traces]`: spans for a collector of OpenTelemetry.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// Where spans are posted to: OTLP over HTTP.
    pub endpoint: Uri,
    /// Which share is traced of the events whose source says nothing of its trace. Default 1%.
    pub sample: Share,
    /// What the host is called in its spans, `service.name`. Default `hookwright`.
    pub service: String,
    /// Sent with every request; the values may be secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Longest name of a service, in bytes.
const NAME_BYTES: usize = 255;

const SERVICE: Text<String> =
    Text { name: "text", example: "\"webhooks-eu\"", unit: "", parse: service };

impl TracesConfig {
    pub(super) fn read(s: &Section<'_, '_>) -> Option<Self> {
        let doc = "The collector: OTLP over HTTP, as `http://127.0.0.1:4318/v1/traces`. Any address may be named.";
        let endpoint = s.key("endpoint", Url, doc).required();
        let doc = "How many events are traced, of those whose source says nothing in `traceparent`; one that does decides for its events. To six decimals of a percent: `\"0.1%\"`, or `0.001`, which is the same.";
        let sample = s.key("sample", Part, doc).range("0%", "100%").default("1%");
        let doc = "What the host is called in its spans, the attribute `service.name`.";
        let service = s.key("service", SERVICE, doc).default("hookwright");
        let doc = "Sent to the collector. A value may be a secret, `env:NAME` or `file:PATH`; `authorization` and `cookie` must be.";
        let headers = s.key("headers", Headers, doc).default("{}");
        Some(Self { endpoint: endpoint?, sample, service, headers })
    }
}

fn service(text: &str) -> Result<String, Fault> {
    let printable = !text.chars().any(char::is_control);
    if !text.trim().is_empty() && text.len() <= NAME_BYTES && printable {
        return Ok(text.to_owned());
    }
    let help = format!("write a name on one line, of at most {NAME_BYTES} bytes");
    Err(Fault::new(format!("{} is no name of a service", quote(text)), help))
}
