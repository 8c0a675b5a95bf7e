//! One source's metrics, their handles fetched once.
use std::time::Duration;

use ::metrics::{Counter, Histogram, counter, histogram};
use http::StatusCode;

use crate::metrics::{BODY_BYTES, EVENTS, INGRESS_SECONDS, REFUSED, REQUESTS};

/// Every status that ingress answers with, the most frequent first.
const STATUSES: [u16; 12] = [202, 200, 204, 401, 429, 503, 413, 400, 408, 403, 404, 405];

pub(super) struct Meters {
    requests: [Counter; STATUSES.len()],
    refused: Vec<(&'static str, Counter)>,
    seconds: Histogram,
    body_bytes: Counter,
    events: Counter,
}

impl Meters {
    pub(super) fn new(source: &str, reasons: impl Iterator<Item = &'static str>) -> Self {
        let source = source.to_owned();
        let refused = |reason: &'static str| {
            (reason, counter!(REFUSED, "source" => source.clone(), "reason" => reason))
        };
        Self {
            requests: STATUSES.map(|status| {
                counter!(REQUESTS, "source" => source.clone(), "status" => status.to_string())
            }),
            refused: reasons.map(refused).collect(),
            seconds: histogram!(INGRESS_SECONDS, "source" => source.clone()),
            body_bytes: counter!(BODY_BYTES, "source" => source.clone()),
            events: counter!(EVENTS, "source" => source.clone()),
        }
    }

    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        if let Some(place) = STATUSES.iter().position(|known| *known == status.as_u16()) {
            self.requests[place].increment(1);
        }
        self.seconds.record(took);
    }

    pub(super) fn accepted(&self, body: usize) {
        self.events.increment(1);
        self.body_bytes.increment(body as u64);
    }

    pub(super) fn refused(&self, reason: &'static str) {
        if let Some((_, counter)) = self.refused.iter().find(|(known, _)| *known == reason) {
            counter.increment(1);
        }
    }
}
