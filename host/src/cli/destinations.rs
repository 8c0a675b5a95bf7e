//! `hookwright destinations`: where events go, how each does, and to switch them.
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Where, escaped};
use super::stats::span;
use hookwright_config::parse_duration;
use hookwright_model::clock::Clock;
use hookwright_model::printable;
use hookwright_terminal::{Paint, columns};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Send again to a destination that is off; what waited for it goes.
    Enable { destination: String },
    /// Send nothing more to a destination; its deliveries are kept waiting.
    Disable { destination: String },
    /// As to disable it, for a time.
    Pause {
        destination: String,
        /// At most 30 days.
        #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
        lasts: Duration,
    },
    /// Try a destination whose breaker is open now, at full speed.
    CloseBreaker { destination: String },
    /// Give up what waits for a destination that is disabled, or that the settings do not have any more.
    Discard {
        destination: String,
        /// For whoever asks later what became of the events.
        #[arg(long)]
        reason: String,
    },
}

pub(super) fn run(host: &Where<'_>, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let mut body = json!({});
    let (name, way) = match &args.act {
        None => {
            let page = super::block_on(api.get("destinations?limit=1000"))?;
            let told = if as_json { super::json(&page) } else { list(&page, Paint::stdout()) };
            super::print(&told);
            return Ok(ExitCode::SUCCESS);
        }
        Some(Act::Enable { destination }) => (destination, "enable"),
        Some(Act::Disable { destination }) => (destination, "disable"),
        Some(Act::CloseBreaker { destination }) => (destination, "close-breaker"),
        Some(Act::Pause { destination, lasts }) => {
            body = json!({ "for_ms": hookwright_model::clock::millis(*lasts) });
            (destination, "pause")
        }
        Some(Act::Discard { destination, reason }) => {
            body = json!({ "reason": reason });
            (destination, "discard")
        }
    };
    let path = format!("destinations/{}/{way}", escaped(name));
    let answer = super::block_on(api.post(&path, &body))?;
    super::print(&match (as_json, answer["discarded"].as_u64()) {
        (true, _) => super::json_line(&answer),
        (_, Some(count)) => format!("{}: {count} deliveries are discarded\n", printable(name)),
        _ => format!("{}: {}\n", printable(name), state(&answer)),
    });
    Ok(ExitCode::SUCCESS)
}

/// What stops it, or that nothing does.
fn state(one: &Value) -> String {
    match one["state"].as_str() {
        None => "removed".to_owned(),
        Some("running") if one["failures"].as_u64() > Some(2) => "failing".to_owned(),
        Some(state) => state.to_owned(),
    }
}

fn list(page: &Value, paint: Paint) -> String {
    let heads = ["NAME", "STATE", "WAITING", "OLDEST", "DEAD", "5 MIN", "LAG P99", "URL"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let now_ms = Clock::system().now_ms();
    for one in page["destinations"].as_array().into_iter().flatten() {
        let recent = &one["recent"];
        let count = |key: &str| recent[key].as_u64().unwrap_or_default();
        let oldest = one["oldest_ms"].as_u64().map(|ms| now_ms.saturating_sub(ms) as f64);
        rows.push(vec![
            printable(one["name"].as_str().unwrap_or_default()),
            paint.state(&state(one)),
            one["waiting"].to_string(),
            oldest.map_or("-".to_owned(), span),
            one["dead"].to_string(),
            format!("{} ok, {} failed", count("succeeded"), count("failed")),
            recent["lag_p99_ms"].as_f64().map_or("-".to_owned(), span),
            printable(one["url"].as_str().unwrap_or_default()),
        ]);
    }
    if rows.len() == 1 { "no destinations\n".to_owned() } else { columns(&rows) }
}
