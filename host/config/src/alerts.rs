//! `[alerts]`: whom the host tells when something goes wrong.
use std::time::Duration;

use super::kind::{DURATION, List, Reference, SIZE, whole};
use super::reader::Section;
use super::secret;
use hookwright_model::Name;
use hookwright_signing::Secret;

/// The sources that alerts come from, one for each shape: the host's own.
pub const OWN_SOURCES: [&str; 3] = ["hookwright", "hookwright-slack", "hookwright-pagerduty"];

/// `[alerts]`. No alert is sent where no list names a destination.
#[derive(Debug, Clone)]
pub struct AlertsConfig {
    /// Who gets alerts as Standard Webhooks. Default nobody.
    pub destinations: Vec<Name>,
    /// Who gets them as an incoming webhook of Slack wants them. Default nobody.
    pub slack: Vec<Name>,
    /// Who gets them as PagerDuty wants them. None, the default: nobody.
    pub pagerduty: Option<PagerDutyConfig>,
    /// From one check to the next. Default 10 s.
    pub every: Duration,
    /// How long something must be wrong before an alert is sent. Default 1 minute.
    pub hold: Duration,
    /// How long it must be well before the alert is resolved. Default 5 minutes.
    pub clear: Duration,
    /// How long an event may wait for a destination without an alert. Default 15 minutes; zero: any time.
    pub backlog_age: Duration,
    /// Failed attempts, one after the other, that make an alert. Default 20; 0: never.
    pub failures: u32,
    /// Bytes free on the disk of `data_dir` below which there is an alert. Default 1 GiB; 0: never.
    pub disk_free: u64,
    /// How long before the ingress's certificate ends there is an alert. Default 14 days; zero: never.
    pub certificate: Duration,
}

/// `[alerts.pagerduty]`.
#[derive(Debug, Clone)]
pub struct PagerDutyConfig {
    /// The destinations that lead to PagerDuty.
    pub destinations: Vec<Name>,
    /// The key of the service's integration, filled in when an alert is sent.
    pub routing_key: Secret,
}

impl AlertsConfig {
    pub(super) fn read(s: &Section<'_, '_>, names: &[&str]) -> Self {
        let to = || List(Reference { what: "destination", names });
        let doc = "Destinations that get alerts as Standard Webhooks: `type`, `timestamp`, `data`.";
        let destinations = s.key("destinations", to(), doc).default("[]");
        let doc = "Destinations whose URL is an incoming webhook of Slack.";
        let slack = s.key("slack", to(), doc).default("[]");
        let pagerduty = s.optional_section("pagerduty", "Alerts for PagerDuty.", |s| {
            let doc = "Their URL is `https://events.pagerduty.com/v2/enqueue`.";
            let destinations = s.key("destinations", to(), doc).required();
            let doc = "The key of the service's integration, Events API v2.";
            let routing_key = s.key("routing_key", secret::ANY, doc).required();
            Some(PagerDutyConfig { destinations: destinations?, routing_key: routing_key? })
        });
        Self {
            destinations,
            slack,
            pagerduty,
            every: s
                .key("every", DURATION, "The time from one check to the next.")
                .range("1s", "1h")
                .default("10s"),
            hold: s
                .key("hold", DURATION, "How long something must be wrong before an alert is sent.")
                .range("0s", "1d")
                .default("1m"),
            clear: s
                .key("clear", DURATION, "How long it must be well before the alert is resolved.")
                .range("0s", "1d")
                .default("5m"),
            backlog_age: s
                .key(
                    "backlog_age",
                    DURATION,
                    "Alerts when an event has waited this long for a destination; `0s`: never.",
                )
                .range("0s", "30d")
                .default("15m"),
            failures: s
                .key(
                    "failures",
                    whole(),
                    "Alerts after this many failed attempts at a destination in a row; 0: never.",
                )
                .range("0", "100000")
                .default("20"),
            disk_free: s
                .key(
                    "disk_free",
                    SIZE,
                    "Alerts when less than this is free on the disk of `data_dir`; `0B`: never.",
                )
                .range("0B", "1024GiB")
                .default("1GiB"),
            certificate: s
                .key(
                    "certificate",
                    DURATION,
                    "Alerts when the ingress's certificate expires within this time; `0s`: never.",
                )
                .range("0s", "365d")
                .default("14d"),
        }
    }

    /// Whether anybody is told.
    pub fn is_on(&self) -> bool {
        !self.destinations.is_empty() || !self.slack.is_empty() || self.pagerduty.is_some()
    }
}
