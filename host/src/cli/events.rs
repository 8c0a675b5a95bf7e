//! `hookwright events`: which events there are.
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::api::{Where, query};
use hookwright_config::parse_duration;
use hookwright_model::date::moment;
use hookwright_model::printable;
use hookwright_terminal::Paint;

/// Filters of events: the same in `events`, `replay` and the API.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct Which {
    /// Only events from this source.
    #[arg(long)]
    source: Option<String>,
    /// Only events of this kind, such as `push`.
    #[arg(long)]
    kind: Option<String>,
    /// Only events with a delivery to this destination.
    #[arg(long)]
    destination: Option<String>,
    /// Only events in this state: accepted, routed, dropped, dead, parked or unrouted.
    #[arg(long)]
    state: Option<String>,
    /// Only events with a delivery in this state: waiting, delivered or dead.
    #[arg(long)]
    delivery: Option<String>,
    /// Only events younger than this, such as `24h`.
    #[arg(long, value_parser = parse_duration)]
    since: Option<Duration>,
    /// Only events older than this.
    #[arg(long, value_parser = parse_duration)]
    until: Option<Duration>,
}

impl Which {
    pub(super) fn pairs(&self) -> Vec<(&'static str, Option<String>)> {
        let ago = |age: &Duration| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            now.saturating_sub(*age).as_millis().to_string()
        };
        vec![
            ("source", self.source.clone()),
            ("kind", self.kind.clone()),
            ("destination", self.destination.clone()),
            ("state", self.state.clone()),
            ("delivery", self.delivery.clone()),
            ("since", self.since.as_ref().map(ago)),
            ("until", self.until.as_ref().map(ago)),
        ]
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Only events whose original body contains this text, byte for byte. The search is bounded.
    #[arg(long)]
    text: Option<String>,
    /// At most this many events, up to 1000.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    /// Only events older than this event: the next page.
    #[arg(long)]
    before: Option<String>,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let mut pairs = args.which.pairs();
    pairs.push(("limit", Some(args.limit.to_string())));
    pairs.push(("before", args.before.clone()));
    pairs.push(("text", args.text.clone()));
    let page = super::block_on(host.api()?.get(&format!("events{}", query(&pairs))))?;
    if json {
        super::print(&super::json(&page));
        return Ok(ExitCode::SUCCESS);
    }
    let paint = Paint::stdout();
    let mut out = String::new();
    for event in page["events"].as_array().into_iter().flatten() {
        out.push_str(&line(event, paint));
    }
    if out.is_empty() {
        out.push_str("no events\n");
    }
    if let Some(looked_at) = page["searched"]["events"].as_u64() {
        let complete = page["searched"]["complete"] == true;
        let rest = if complete { "all that fit" } else { "there are more" };
        out.push_str(&format!("looked into {looked_at} bodies, {rest}\n"));
    }
    if let Some(next) = page["next"].as_str() {
        out.push_str(&format!("more: --before {next}\n"));
    }
    super::print(&out);
    Ok(ExitCode::SUCCESS)
}

/// One event in one line, for people.
pub(super) fn line(event: &Value, paint: Paint) -> String {
    let text = |key: &str| printable(event[key].as_str().unwrap_or_default());
    let mut out = format!(
        "{}  {}  {} {}  {}",
        moment(event["received_ms"].as_u64().unwrap_or_default()),
        text("id"),
        text("source"),
        text("kind"),
        paint.state(&text("state")),
    );
    for delivery in event["deliveries"].as_array().into_iter().flatten() {
        let text = |key: &str| printable(delivery[key].as_str().unwrap_or_default());
        out.push_str(&format!("  {}:{}", text("destination"), paint.state(&text("state"))));
        if delivery["attempts"].as_u64().unwrap_or_default() > 1 {
            out.push_str(&format!("({})", delivery["attempts"]));
        }
    }
    if let Some(reason) = event["reason"].as_str() {
        out.push_str(&format!("  ({})", printable(reason)));
    }
    out.push('\n');
    out
}
