//! Every metric's name, labels and meaning. Parts fetch their handles once, at set-up.
//!
//! Names follow Prometheus: base units, `_total` for counters.
use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

mod snapshot;

pub use snapshot::{Buckets, Snapshot, quantile};

/// Requests received at the ingress, by `source` and response `status`.
pub const REQUESTS: &str = "hookwright_ingress_requests_total";
/// Requests refused, by `source` and `reason`.
pub const REFUSED: &str = "hookwright_ingress_refused_total";
/// Requests whose secret matched, by `source` and `secret`, its place in the settings.
pub const VERIFIED: &str = "hookwright_ingress_verified_total";
/// Time from reading a request's head to sending its response, by `source`.
pub const INGRESS_SECONDS: &str = "hookwright_ingress_seconds";
/// Bytes of accepted bodies, by `source`.
pub const BODY_BYTES: &str = "hookwright_ingress_body_bytes_total";
/// Connections open now, by `listener`.
pub const CONNECTIONS: &str = "hookwright_connections";
/// Connections refused at the connection limit, by `listener`.
pub const CONNECTIONS_REFUSED: &str = "hookwright_connections_refused_total";
/// Requests that the server refused before the service saw them, by `listener` and `reason`.
pub const HEADS_REFUSED: &str = "hookwright_heads_refused_total";
/// Bytes of request heads and bodies held in memory while they are received, by `listener`.
pub const BYTES_IN_FLIGHT: &str = "hookwright_bytes_in_flight";
/// Request heads and bodies refused because the memory limit was reached, by `listener`.
pub const BYTES_REFUSED: &str = "hookwright_bytes_refused_total";
/// Events accepted, by `source`.
pub const EVENTS: &str = "hookwright_events_total";
/// Events whose routing ended, by `source` and `state`.
pub const ROUTED: &str = "hookwright_events_routed_total";
/// Verdicts of plugins, by `plugin`, `digest` (its first 12 digits) and `decision`.
pub const VERDICTS: &str = "hookwright_plugin_verdicts_total";
/// Duration of a plugin call, by `plugin`.
pub const PLUGIN_SECONDS: &str = "hookwright_plugin_call_seconds";
/// Plugin calls stopped at a limit, by `plugin` and `limit`.
pub const PLUGIN_LIMITS: &str = "hookwright_plugin_limit_total";
/// Times that a plugin was put in quarantine, by `plugin`.
pub const PLUGIN_QUARANTINES: &str = "hookwright_plugin_quarantines_total";
/// 1 while a plugin version is in quarantine, by `plugin` and `digest`.
pub const PLUGIN_QUARANTINED: &str = "hookwright_plugin_quarantined";
/// Calls of candidates, by `plugin`, `digest` and `outcome` (`same`,
/// `different`, `failed`, `mended`, `skipped`).
pub const CANDIDATE_CALLS: &str = "hookwright_plugin_candidate_calls_total";
/// Canaries stopped because they failed more often than the active version, by `plugin`.
pub const CANDIDATE_STOPS: &str = "hookwright_plugin_candidate_stops_total";
/// Plugin instances in use now.
pub const INSTANCES: &str = "hookwright_plugin_instances";
/// Events parked because the host crashed repeatedly while a plugin was handling them.
pub const POISON_EVENTS: &str = "hookwright_poison_events_total";
/// Loads of plugin versions, by `plugin` and `result`.
pub const PLUGIN_LOADS: &str = "hookwright_plugin_loads_total";
/// Delivery attempts, by `destination` and `outcome` (`2xx`, `4xx`, `timeout` and so on).
pub const ATTEMPTS: &str = "hookwright_delivery_attempts_total";
/// Failed attempts, by `destination`, without those of which nothing was sent (`queue`,
/// `credentials`). The series exists from the destination's start, so that `rate` sees the
/// first failure as an increase and not as a new series.
pub const FAILED_ATTEMPTS: &str = "hookwright_delivery_failed_attempts_total";
/// Duration of a delivery attempt, by `destination`.
pub const ATTEMPT_SECONDS: &str = "hookwright_delivery_attempt_seconds";
/// Time from accepting an event to delivering it, by `destination`.
pub const LAG_SECONDS: &str = "hookwright_delivery_lag_seconds";
/// Deliveries that ended, by `destination` and `state`.
pub const DELIVERIES: &str = "hookwright_deliveries_total";
/// Delivery attempts in flight, by `destination`.
pub const IN_FLIGHT: &str = "hookwright_delivery_in_flight";
/// Current limit of concurrent delivery attempts, by `destination`; exported once it
/// differs from the settings' `in_flight`.
pub const IN_FLIGHT_LIMIT: &str = "hookwright_delivery_in_flight_limit";
/// 1 while the circuit breaker is open or half-open, by `destination`.
pub const BREAKER_OPEN: &str = "hookwright_destination_breaker_open";
/// Times that the circuit breaker opened, including after a failed probe, by `destination`.
pub const BREAKER_OPENINGS: &str = "hookwright_destination_breaker_openings_total";
/// 1 while a destination is disabled (by a 410, by failing for too long, or by an operator), by `destination`.
pub const DISABLED: &str = "hookwright_destination_disabled";
/// Waiting deliveries, by `destination`.
pub const BACKLOG: &str = "hookwright_delivery_backlog";
/// Age of the oldest waiting delivery's event, by `destination`.
pub const OLDEST_SECONDS: &str = "hookwright_delivery_oldest_seconds";
/// Connections opened to destinations, by `destination`.
pub const CONNECTS: &str = "hookwright_delivery_connects_total";
/// Records in one commit, by `part` (`journal` or `index`).
pub const COMMIT_RECORDS: &str = "hookwright_store_commit_records";
/// Duration of a commit, by `part`.
pub const COMMIT_SECONDS: &str = "hookwright_store_commit_seconds";
/// Store writes that failed, by `part` (`journal`, `index`, `audit`).
pub const STORE_ERRORS: &str = "hookwright_store_errors_total";
/// Operations that the index rejected because of their content; their events are parked.
pub const STORE_SET_ASIDE: &str = "hookwright_store_set_aside_total";
/// Damage found in the store's files, by `what`: `records` that can't be read,
/// `torn` tails of writes that did not complete.
pub const STORE_DAMAGE: &str = "hookwright_store_damage_total";
/// Damaged or lost parts of the store that no operator has acknowledged yet.
pub const STORE_DAMAGED: &str = "hookwright_store_damaged";
/// Disk space that the store uses.
pub const STORE_BYTES: &str = "hookwright_store_bytes";
/// Free space on the store's disk.
pub const STORE_FREE_BYTES: &str = "hookwright_store_free_bytes";
/// Events deleted by retention.
pub const PURGED: &str = "hookwright_store_purged_events_total";
/// Background tasks that panicked, by `task`.
pub const TASK_PANICS: &str = "hookwright_task_panics_total";
/// Trace spans, by `result`: exported, rejected, failed, dropped.
pub const TRACE_SPANS: &str = "hookwright_trace_spans_total";
/// Reloads of the settings, by `result`.
pub const RELOADS: &str = "hookwright_settings_reloads_total";
/// 1 while a source behaves unusually, by `source` and `anomaly`.
pub const SOURCE_ANOMALY: &str = "hookwright_source_anomaly";
/// Reloads of the ingress's certificate, by `result`.
pub const CERTIFICATE_RELOADS: &str = "hookwright_certificate_reloads_total";
/// Log lines that were not written, by `reason`: `full`, the buffer was full; `failed`, the write to standard error failed.
pub const LOG_LOST: &str = "hookwright_log_lines_lost_total";

/// Seconds: from a plugin call of microseconds to a delivery that waited for days.
pub const SECONDS: &[f64] = &[
    0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
    300.0, 3_600.0, 86_400.0,
];
/// The outcomes of successful attempts, as [`ATTEMPTS`] labels them, for code that counts
/// successes.
pub const GOOD_OUTCOMES: [&str; 2] = ["2xx", "taken"];
const RECORDS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];

/// Installs the process's metrics recorder and returns the handle that renders Prometheus
/// text. To be called once a process.
///
/// # Errors
/// If a recorder is installed already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full(COMMIT_RECORDS.into()), RECORDS)?
        .install_recorder()?;
    describe();
    begin();
    Ok(handle)
}

/// Creates the series of the host itself that alerts watch, at zero: `rate` does not see an
/// increase from absent to 1. The series of a source, a destination or a plugin are created with it.
fn begin() {
    for result in ["ok", "refused"] {
        counter!(RELOADS, "result" => result).increment(0);
        counter!(CERTIFICATE_RELOADS, "result" => result).increment(0);
    }
    for result in ["exported", "rejected", "failed", "dropped"] {
        counter!(TRACE_SPANS, "result" => result).increment(0);
    }
    for reason in ["full", "failed"] {
        counter!(LOG_LOST, "reason" => reason).increment(0);
    }
    counter!(STORE_ERRORS, "part" => "audit").increment(0);
    counter!(POISON_EVENTS).increment(0);
    counter!(PURGED).increment(0);
    task_named("attempt");
}

/// Creates the series of a task in [`TASK_PANICS`], at zero.
pub fn task_named(task: &'static str) {
    counter!(TASK_PANICS, "task" => task).increment(0);
}

/// Counts the panic of a task in [`TASK_PANICS`]. For [`Tasks`](crate::tasks::Tasks), which supervises them.
pub fn task_panicked(task: &'static str) {
    counter!(TASK_PANICS, "task" => task).increment(1);
}

fn describe() {
    for (name, text) in COUNTERS {
        describe_counter!(*name, *text);
    }
    for (name, text) in GAUGES {
        describe_gauge!(*name, *text);
    }
    for (name, text) in HISTOGRAMS {
        let unit = if name.ends_with("_seconds") { Unit::Seconds } else { Unit::Count };
        describe_histogram!(*name, unit, *text);
    }
}

/// Counters with their help text; the metrics page of the docs is made from these tables.
pub const COUNTERS: &[(&str, &str)] = &[
    (REQUESTS, "Requests received at the ingress, by source and response status."),
    (REFUSED, "Requests refused, by source and reason."),
    (
        VERIFIED,
        "Requests with a valid signature, by source and by the position of the matching secret in the settings.",
    ),
    (BODY_BYTES, "Bytes of accepted bodies, by source."),
    (CONNECTIONS_REFUSED, "Connections refused at the connection limit, by listener."),
    (HEADS_REFUSED, "Requests refused before they reached a handler, by listener and reason."),
    (
        BYTES_REFUSED,
        "Request heads and bodies refused because the memory limit was reached, by listener.",
    ),
    (EVENTS, "Events accepted, by source."),
    (ROUTED, "Events whose routing ended, by source and state."),
    (VERDICTS, "Plugin verdicts, by plugin, digest and decision."),
    (PLUGIN_LIMITS, "Plugin calls stopped at a limit, by plugin and limit."),
    (PLUGIN_QUARANTINES, "Times that a plugin was put in quarantine, by plugin."),
    (CANDIDATE_CALLS, "Calls of candidate versions, by plugin, digest and outcome."),
    (
        CANDIDATE_STOPS,
        "Canaries stopped because they failed more often than the active version, by plugin.",
    ),
    (
        POISON_EVENTS,
        "Events parked because the host crashed repeatedly while a plugin was handling them.",
    ),
    (PLUGIN_LOADS, "Loads of plugin versions, by plugin and result."),
    (ATTEMPTS, "Delivery attempts, by destination and outcome."),
    (
        FAILED_ATTEMPTS,
        "Failed delivery attempts, by destination, excluding those of which nothing was sent (queue, credentials).",
    ),
    (DELIVERIES, "Deliveries that ended, by destination and state."),
    (BREAKER_OPENINGS, "Times that the circuit breaker opened, by destination."),
    (CONNECTS, "Connections opened to destinations, by destination."),
    (STORE_ERRORS, "Store writes that failed, by part."),
    (STORE_SET_ASIDE, "Operations that the index rejected because of their content."),
    (STORE_DAMAGE, "Damage found in the store's files, by kind of damage: records, torn."),
    (PURGED, "Events deleted by retention."),
    (TASK_PANICS, "Background tasks that panicked, by task."),
    (TRACE_SPANS, "Trace spans, by result: exported, rejected, failed, dropped."),
    (RELOADS, "Reloads of the settings, by result."),
    (CERTIFICATE_RELOADS, "Reloads of the ingress's TLS certificate, by result."),
    (LOG_LOST, "Log lines that were not written, by reason: full, failed."),
];

/// Gauges with their help text.
pub const GAUGES: &[(&str, &str)] = &[
    (CONNECTIONS, "Open connections, by listener."),
    (BYTES_IN_FLIGHT, "Bytes of request heads and bodies being received, by listener."),
    (SOURCE_ANOMALY, "1 while a source behaves unusually, by source and anomaly."),
    (PLUGIN_QUARANTINED, "1 while a plugin version is in quarantine, by plugin and digest."),
    (INSTANCES, "Plugin instances in use."),
    (IN_FLIGHT, "Delivery attempts in flight, by destination."),
    (IN_FLIGHT_LIMIT, "Current limit of concurrent delivery attempts, by destination."),
    (BREAKER_OPEN, "1 while the circuit breaker is open or half-open, by destination."),
    (DISABLED, "1 while a destination is disabled, by destination."),
    (BACKLOG, "Waiting deliveries, by destination."),
    (OLDEST_SECONDS, "Age of the event of the oldest waiting delivery, by destination."),
    (STORE_DAMAGED, "Damaged or lost parts of the store that no operator has acknowledged yet."),
    (STORE_BYTES, "Disk space that the store uses."),
    (STORE_FREE_BYTES, "Free space on the store's disk."),
];

/// Histograms with their help text.
pub const HISTOGRAMS: &[(&str, &str)] = &[
    (INGRESS_SECONDS, "Time from reading a request's head to sending its response, by source."),
    (PLUGIN_SECONDS, "Duration of a plugin call, by plugin."),
    (ATTEMPT_SECONDS, "Duration of a delivery attempt, by destination."),
    (LAG_SECONDS, "Time from accepting an event to delivering it, by destination."),
    (COMMIT_RECORDS, "Records in one commit, by part."),
    (COMMIT_SECONDS, "Duration of a commit, by part."),
];
