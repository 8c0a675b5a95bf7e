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
    /// Resume deliveries to a destination, including those that waited.
    Enable { destination: String },
    /// Stop sending to a destination; its deliveries wait.
    Disable { destination: String },
    /// Disable a destination for a time.
    Pause {
        destination: String,
        /// At most 30 days.
        #[arg(long = "for", value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
        lasts: Duration,
    },
    /// Close the breaker of a destination and send to it at once, at full speed.
    CloseBreaker { destination: String },
    /// Discard the waiting deliveries of a destination that is disabled, or that is no longer in the settings.
    Discard {
        destination: String,
        /// The reason, recorded with each discarded delivery.
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

/// What stops the destination's deliveries, or that nothing does.
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
