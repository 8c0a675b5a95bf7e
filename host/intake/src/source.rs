//! One source, its settings made ready for use by any way in.
use std::sync::Arc;

use http::{HeaderMap, header};
use tokio::time::Instant;

use super::Rate;
use super::extraction::Extraction;
use super::meters::Meters;
use super::refusal::Refusal;
use hookwright_model::token_bucket::TokenBucket;
use hookwright_model::{Name, Rules, is_deeper};
use hookwright_server::Share;
use hookwright_settings::SourceOptions;

/// A source of events: what [`Intake`](super::Intake) has to know of it. Ways in make one for each source of the
/// settings, and a new one when the settings change.
pub struct Source {
    pub(crate) name: Name,
    pub(crate) extraction: Extraction,
    pub(crate) max_body: usize,
    pub(crate) decompress: bool,
    pub(crate) meters: Meters,
    /// Its bytes on their way in, of the byte budget.
    pub(crate) share: Share,
    max_json_depth: usize,
    rules: Option<Arc<Rules>>,
    rate: Option<Arc<TokenBucket>>,
}

impl Source {
    /// `before` is the same source under the settings before: its rate continues to count where
    /// the new settings have the same one.
    pub fn new(name: Name, options: &SourceOptions, before: Option<&Self>) -> Self {
        let rate = options.rate.map(Rate::from).map(|rate| {
            let kept = before.and_then(|source| source.rate.clone());
            let kept = kept.filter(|bucket| bucket.pace() == rate.pace());
            kept.unwrap_or_else(|| TokenBucket::new(rate.pace()).into())
        });
        Self {
            extraction: Extraction::new(options.kind.as_ref(), options.dedupe.as_ref()),
            max_body: options.max_body,
            decompress: options.decompress,
            meters: Meters::new(&name),
            share: before.map(|source| source.share.clone()).unwrap_or_default(),
            max_json_depth: options.max_json_depth,
            rules: options.rules.clone(),
            rate,
            name,
        }
    }

    /// The name in the settings.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether the rate lets an event through now, without counting one.
    pub(crate) fn peek(&self, now: Instant) -> Result<(), Refusal> {
        match &self.rate {
            Some(bucket) => bucket.peek(now).map_err(|wait| Refusal::Rate { wait }),
            None => Ok(()),
        }
    }

    /// Counts an event against the rate.
    pub(crate) fn count(&self, now: Instant) -> Result<(), Refusal> {
        match &self.rate {
            Some(bucket) => bucket.take(now).map_err(|wait| Refusal::Rate { wait }),
            None => Ok(()),
        }
    }

    /// Whether a plain event is as the source's must be.
    pub(crate) fn validate(
        &self,
        kind: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<(), Refusal> {
        if is_json(headers) && is_deeper(body, self.max_json_depth) {
            return Err(Refusal::TooDeep { max: self.max_json_depth });
        }
        match &self.rules {
            Some(rules) => rules.check(kind, headers, body).map_err(Refusal::Invalid),
            None => Ok(()),
        }
    }
}

/// `application/json`, `application/vnd.github+json` and the like.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return false };
    let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
    let essence = essence.trim_ascii_end();
    let start = essence.len().saturating_sub(4);
    essence[start..].eq_ignore_ascii_case(b"json")
}
