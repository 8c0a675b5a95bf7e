//! `hookwright events`: which events there are.
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::api::{Api, query};
use crate::config::parse_duration;

/// Which events: the same words in `events`, `replay` and the API.
#[derive(Debug, Default, Clone, clap::Args)]
pub(super) struct Which {
    /// Only from this source.
    #[arg(long)]
    source: Option<String>,
    /// Only of this kind, `push` for example.
    #[arg(long)]
    kind: Option<String>,
    /// Only with a delivery to this destination.
    #[arg(long)]
    destination: Option<String>,
    /// accepted, routed, dropped, dead, parked or unrouted.
    #[arg(long)]
    state: Option<String>,
    /// With a delivery that is waiting, delivered or dead.
    #[arg(long)]
    delivery: Option<String>,
    /// Not older than this, `24h` for example.
    #[arg(long, value_parser = parse_duration)]
    since: Option<Duration>,
    /// Older than this.
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
    /// At most this many, up to 1000.
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Only older than this event: the next page.
    #[arg(long)]
    before: Option<String>,
}

pub(super) fn run(config: &Path, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let config = super::load(config)?;
    let mut pairs = args.which.pairs();
    pairs.push(("limit", Some(args.limit.to_string())));
    pairs.push(("before", args.before.clone()));
    let page = super::block_on(Api::new(&config).get(&format!("events{}", query(&pairs))))?;
    if json {
        super::print(&format!("{page:#}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = String::new();
    for event in page["events"].as_array().into_iter().flatten() {
        out.push_str(&line(event));
    }
    if out.is_empty() {
        out.push_str("no events\n");
    }
    if let Some(next) = page["next"].as_str() {
        out.push_str(&format!("more: --before {next}\n"));
    }
    super::print(&out);
    Ok(ExitCode::SUCCESS)
}

/// One event in one line, for people.
pub(super) fn line(event: &Value) -> String {
    let text = |key: &str| safe(event[key].as_str().unwrap_or_default());
    let mut out = format!(
        "{}  {}  {} {}  {}",
        moment(event["received_ms"].as_u64().unwrap_or_default()),
        text("id"),
        text("source"),
        text("kind"),
        text("state"),
    );
    for delivery in event["deliveries"].as_array().into_iter().flatten() {
        let text = |key: &str| safe(delivery[key].as_str().unwrap_or_default());
        out.push_str(&format!("  {}:{}", text("destination"), text("state")));
        if delivery["attempts"].as_u64().unwrap_or_default() > 1 {
            out.push_str(&format!("({})", delivery["attempts"]));
        }
    }
    if let Some(reason) = event["reason"].as_str() {
        out.push_str(&format!("  ({})", safe(reason)));
    }
    out.push('\n');
    out
}

/// What came from outside must not steer the terminal.
pub(super) fn safe(text: &str) -> String {
    text.chars().map(|char| if steers(char) { '\u{fffd}' } else { char }).collect()
}

/// Control characters, and those that turn the direction of what follows.
fn steers(char: char) -> bool {
    char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A time in UTC, to the millisecond, as RFC 3339 writes it.
/// Days to dates by Howard Hinnant's `civil_from_days`.
pub(super) fn moment(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hours, minutes) = (rest / 3_600_000, rest / 60_000 % 60);
    let (seconds, millis) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::{moment, safe};

    #[test]
    fn what_steers_a_terminal_is_replaced() {
        assert_eq!(
            safe("a\u{1b}[1m\u{202e}b\u{2066}c\u{2069}é"),
            "a\u{fffd}[1m\u{fffd}b\u{fffd}c\u{fffd}é"
        );
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(moment(951_827_696_789), "2000-02-29T12:34:56.789Z");
        assert_eq!(moment(1_614_265_330_000), "2021-02-25T15:02:10.000Z");
    }
}
