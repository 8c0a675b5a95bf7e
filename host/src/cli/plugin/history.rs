//! Recorded events of a running host, as its admin API tells them.
use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::super::api::{Api, query};
use hookwright_model::{Event, Name, VerdictRecord};

/// Events of one request.
const PAGE: usize = 200;

pub(super) struct History<'a> {
    api: &'a Api,
}

/// One event, with the recorded verdicts of its plugins.
pub(super) struct Recorded {
    pub(super) event: Event,
    verdicts: Vec<VerdictRecord>,
}

/// The ids of a source's events, newest first.
pub(super) struct Pages<'a> {
    api: &'a Api,
    source: String,
    since_ms: u64,
    left: usize,
    before: Option<String>,
    ended: bool,
}

impl<'a> History<'a> {
    pub(super) fn new(api: &'a Api) -> Self {
        Self { api }
    }

    pub(super) fn ids(&self, source: &Name, since_ms: u64, limit: usize) -> Pages<'a> {
        let source = source.to_string();
        Pages { api: self.api, source, since_ms, left: limit, before: None, ended: false }
    }

    /// None if it was purged in the meantime.
    pub(super) async fn event(&self, id: &str) -> Result<Option<Recorded>> {
        let Ok(detail) = self.api.get(&format!("events/{id}")).await else { return Ok(None) };
        let asked = self.api.ask(Method::GET, &format!("events/{id}/body"), None).await?;
        let body = asked.into_body().collect().await.context("the answer broke off")?.to_bytes();
        recorded(&detail, body).with_context(|| format!("event {id}")).map(Some)
    }
}

impl Pages<'_> {
    /// None at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<String>>> {
        if self.ended || self.left == 0 {
            return Ok(None);
        }
        let pairs = [
            ("source", Some(self.source.clone())),
            ("since", Some(self.since_ms.to_string())),
            ("limit", Some(self.left.min(PAGE).to_string())),
            ("before", self.before.clone()),
        ];
        let page = self.api.get(&format!("events{}", query(&pairs))).await?;
        let rows = page["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        let ids = rows.iter().filter_map(|row| row["id"].as_str());
        let ids: Vec<String> = ids.map(str::to_owned).collect();
        self.before = page["next"].as_str().map(str::to_owned);
        self.ended = self.before.is_none();
        self.left = self.left.saturating_sub(ids.len());
        Ok((!ids.is_empty()).then_some(ids))
    }
}

fn recorded(detail: &Value, body: Bytes) -> Result<Recorded> {
    let text = |key: &str| detail[key].as_str().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for pair in detail["headers"].as_array().into_iter().flatten() {
        let (Some(name), Some(value)) = (pair[0].as_str(), pair[1].as_str()) else { continue };
        headers.append(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    let event = Event {
        id: text("id").parse()?,
        received_ms: detail["received_ms"].as_u64().unwrap_or_default(),
        source: text("source").parse()?,
        kind: text("kind").into(),
        headers,
        body,
    };
    Ok(Recorded { event, verdicts: serde_json::from_value(detail["rulings"].clone())? })
}

impl Recorded {
    pub(super) fn verdict(&self, plugin: &Name) -> Option<&VerdictRecord> {
        self.verdicts.iter().find(|verdict| verdict.plugin == plugin.as_str())
    }
}
