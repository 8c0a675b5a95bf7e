//! An alert as the receivers want it: Standard Webhooks, Slack, PagerDuty.
use serde_json::{Value, json};

use super::{Change, Rule, State};
use hookwright_model::date::moment;

/// Who reads it.
#[derive(Debug, Clone)]
pub enum Shape {
    /// `type`, `timestamp`, `data`, as Standard Webhooks advises.
    Standard,
    /// An incoming webhook of Slack.
    Slack,
    /// PagerDuty's Events API v2; with [`ROUTING_KEY`] where the key is to stand.
    PagerDuty,
}

/// Stands in bodies for PagerDuty where the key of the service's integration
/// belongs. Events can be read by many: the key is filled in when it is sent.
pub const ROUTING_KEY: &str = "{routing_key}";

/// The event's kind: `alert.firing` or `alert.resolved`.
pub fn kind(change: &Change) -> &'static str {
    match change.state {
        State::Firing => "alert.firing",
        State::Resolved => "alert.resolved",
    }
}

/// The event's body, JSON.
pub fn body(change: &Change, shape: &Shape) -> String {
    match shape {
        Shape::Standard => standard(change),
        Shape::Slack => slack(change),
        Shape::PagerDuty => pager_duty(change),
    }
    .to_string()
}

fn standard(change: &Change) -> Value {
    json!({
        "type": kind(change),
        "timestamp": moment(change.at_ms),
        "data": {
            "key": change.key(),
            "state": change.state.as_str(),
            "rule": change.rule.as_str(),
            "subject": change.subject,
            "what": change.what,
            "cure": cure(change.rule),
            "urgent": change.rule.is_urgent(),
            "since_ms": change.since_ms,
            "at_ms": change.at_ms,
        },
    })
}

/// Only `text`: every incoming webhook takes it (api.slack.com/messaging/webhooks).
fn slack(change: &Change) -> Value {
    let mark = match (change.state, change.rule.is_urgent()) {
        (State::Resolved, _) => ":white_check_mark: Resolved",
        (State::Firing, true) => ":rotating_light:",
        (State::Firing, false) => ":warning:",
    };
    // Slack's own escapes; names in `what` can't hold markup then.
    let what = change.what.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let cure = match change.state {
        State::Firing => format!("\n{}", cure(change.rule)),
        State::Resolved => String::new(),
    };
    json!({ "text": format!("{mark} *{}* {what}{cure}", change.key()) })
}

/// developer.pagerduty.com/docs/send-alert-event: the same `dedup_key` resolves it.
fn pager_duty(change: &Change) -> Value {
    let (action, severity) = match (change.state, change.rule.is_urgent()) {
        (State::Resolved, _) => ("resolve", "info"),
        (State::Firing, true) => ("trigger", "critical"),
        (State::Firing, false) => ("trigger", "warning"),
    };
    // Longer summaries are refused.
    let summary: String =
        format!("{}: {}", change.key(), change.what).chars().take(1_024).collect();
    json!({
        "routing_key": ROUTING_KEY,
        "event_action": action,
        "dedup_key": format!("hookwright/{}", change.key()),
        "payload": {
            "summary": summary,
            "source": "hookwright",
            "severity": severity,
            "timestamp": moment(change.at_ms),
            "class": change.rule.as_str(),
            "custom_details": { "cure": cure(change.rule), "since": moment(change.since_ms) },
        },
    })
}

fn cure(rule: Rule) -> &'static str {
    match rule {
        Rule::DestinationFailing => "Its attempts say why: `hookwright events --destination NAME`.",
        Rule::DestinationBehind => {
            "Look at its health and limits: `rate`, `in_flight`, and how fast it answers."
        }
        Rule::DestinationDisabled => "Enable it once it is well; what waits is sent then.",
        Rule::DeadLetters => "Mend the destination, then replay what is dead.",
        Rule::SourceUnusual => "`hookwright rejected NAME` shows what was refused, and why.",
        Rule::PluginQuarantined => {
            "Put the version before back into the plugins directory; then replay what is parked."
        }
        Rule::PluginRefused => "`hookwright plugin check FILE` says what stands against it.",
        Rule::DiskLow => "Shorten `retention.keep`, or give the store a larger disk.",
        Rule::StoreFailing => "The log names the file and the error; events get 503 meanwhile.",
        Rule::StoreDamaged => {
            "Look at the file in `damaged/` of the data directory, then move it away; the page on operations says what it means."
        }
        Rule::CertificateEnds => "Renew it; the host takes the new file at once.",
    }
}
