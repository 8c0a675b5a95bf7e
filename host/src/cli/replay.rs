//! `hookwright replay`: handle events again.
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::api::{Api, Where};
use super::events::Which;
use super::replays::line;
use hookwright_model::printable;

/// How often a bulk replay is asked how far it has come.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Events by id; or filters instead.
    events: Vec<String>,
    /// Send again to this destination what was sent before, instead of routing through
    /// the current plugins.
    #[arg(long)]
    to: Option<String>,
    /// Send again what was sent before, for each delivery that the filters match.
    #[arg(long, conflicts_with = "to")]
    original: bool,
    /// Send again all dead deliveries to this destination of events accepted within `--since`.
    #[arg(long, requires = "since", conflicts_with_all = ["to", "original", "events"])]
    recover: Option<String>,
    /// Events per second, for a replay by filters.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Start the replay and do not wait for its end; `hookwright replays` shows its progress.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let filter = filter(&args.which);
    if args.events.is_empty() == filter.is_empty() {
        bail!(
            "name events by id, or say which by filters, `--delivery dead --since 24h` for example"
        );
    }
    super::block_on(async {
        if args.events.is_empty() {
            let job = start(&api, filter, args).await?;
            return follow(&api, job, json, args.detach).await;
        }
        for event in &args.events {
            let id = printable(event).replace(['/', '?', '#'], "");
            api.post(&format!("events/{id}/replay"), &json!({ "destination": args.to })).await?;
        }
        let replayed = args.events.len();
        if json {
            super::print(&super::json_line(&json!({ "replayed": replayed })));
        } else {
            super::print(&format!("replayed {replayed}\n"));
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Asks for a bulk replay; answers the job.
async fn start(api: &Api, mut filter: Map<String, Value>, args: &Args) -> anyhow::Result<Value> {
    let wanted = match &args.recover {
        None => json!({
            "filter": filter, "destination": args.to, "original": args.original,
            "rate": args.rate,
        }),
        Some(name) => {
            let since = filter.remove("since");
            if !filter.is_empty() {
                bail!(
                    "`--recover` says which events; besides it only `--since` and `--rate` mean something"
                );
            }
            json!({ "recover": { "destination": name, "since": since }, "rate": args.rate })
        }
    };
    api.post("replays", &wanted).await
}

/// Shows the job's progress until it has ended. To interrupt the command does not
/// stop the job.
async fn follow(api: &Api, mut job: Value, json: bool, detach: bool) -> anyhow::Result<ExitCode> {
    let id = job["id"].as_u64().context("the host's answer has no id")?;
    let mut show = std::io::stderr().is_terminal() && !json;
    while !detach && job["state"] == "running" {
        tokio::time::sleep(LOOK).await;
        job = api.get(&format!("replays/{id}")).await?;
        // A terminal that went away needs no progress.
        show = show && write!(std::io::stderr(), "\r{}\x1b[K", line(&job)).is_ok();
    }
    if show {
        let _ = writeln!(std::io::stderr());
    }
    if json {
        super::print(&super::json(&job));
    } else if job["state"] == "done" {
        super::print(&format!("replayed {}\n", job["replayed"]));
    } else {
        super::print(&format!("{}\n", line(&job)));
    }
    Ok(ExitCode::SUCCESS)
}

/// The filters that were given, as the API wants them.
fn filter(which: &Which) -> Map<String, Value> {
    let given = which.pairs().into_iter().filter_map(|(name, value)| {
        let value = value?;
        let value = match name {
            "since" | "until" => json!(value.parse::<u64>().unwrap_or_default()),
            _ => json!(value),
        };
        Some((name.to_owned(), value))
    });
    given.collect()
}
