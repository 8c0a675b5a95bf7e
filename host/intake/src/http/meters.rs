//! One endpoint's metrics of requests, their handles fetched once.
use std::time::Duration;

use ::metrics::{Counter, Histogram, counter, histogram};
use http::StatusCode;

use hookwright_model::metrics::{INGRESS_SECONDS, REFUSED, REQUESTS, VERIFIED};
use hookwright_settings::Answer;

/// Every status that the intake answers with by itself, the most frequent first.
const STATUSES: [u16; 17] =
    [202, 200, 204, 401, 429, 503, 413, 422, 415, 400, 408, 403, 404, 405, 414, 431, 508];

/// Counts the requests of one endpoint.
pub(super) struct Meters {
    source: String,
    requests: Vec<(u16, Counter)>,
    refused: Vec<(&'static str, Counter)>,
    /// In the order of the source's secrets.
    verified: Vec<Counter>,
    seconds: Histogram,
}

impl Meters {
    /// `answer` is the source's own, whose status may be any.
    pub(super) fn new(
        source: &str,
        reasons: impl Iterator<Item = &'static str>,
        secrets: usize,
        answer: Option<&Answer>,
    ) -> Self {
        let source = source.to_owned();
        let refused = |reason: &'static str| {
            (reason, counter!(REFUSED, "source" => source.clone(), "reason" => reason))
        };
        let requests = |status: u16| {
            (status, counter!(REQUESTS, "source" => source.clone(), "status" => status.to_string()))
        };
        let own = answer.map(|answer| answer.status.as_u16());
        let own = own.filter(|status| !STATUSES.contains(status));
        let statuses = own.into_iter().chain(STATUSES);
        let verified = |secret: usize| counter!(VERIFIED, "source" => source.clone(), "secret" => secret.to_string());
        Self {
            requests: statuses.map(requests).collect(),
            refused: reasons.map(refused).collect(),
            verified: (0..secrets).map(verified).collect(),
            seconds: histogram!(INGRESS_SECONDS, "source" => source.clone()),
            source,
        }
    }

    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        self.status(status);
        self.seconds.record(took);
    }

    pub(super) fn status(&self, status: StatusCode) {
        let status = status.as_u16();
        match self.requests.iter().find(|(known, _)| *known == status) {
            Some((_, counter)) => counter.increment(1),
            // A plugin's own, 200 to 499.
            None => {
                let labels = [("source", self.source.clone()), ("status", status.to_string())];
                counter!(REQUESTS, &labels).increment(1);
            }
        }
    }

    pub(super) fn verified(&self, secret: usize) {
        if let Some(counter) = self.verified.get(secret) {
            counter.increment(1);
        }
    }

    pub(super) fn refused(&self, reason: &'static str) {
        if let Some((_, counter)) = self.refused.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
    }
}
