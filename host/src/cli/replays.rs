//! `hookwright replays`: the bulk replays, how far each has come; stop and resume.
use std::process::ExitCode;

use serde_json::{Value, json};

use super::api::Where;
use hookwright_model::date::moment;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Stop a bulk replay; events that it has replayed already are delivered.
    Stop { id: u64 },
    /// Resume a bulk replay that was stopped.
    Resume { id: u64 },
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let answer = super::block_on(async {
        match &args.act {
            None => api.get("replays?limit=1000").await,
            Some(Act::Stop { id }) => api.post(&format!("replays/{id}/stop"), &json!({})).await,
            Some(Act::Resume { id }) => api.post(&format!("replays/{id}/resume"), &json!({})).await,
        }
    })?;
    if json {
        super::print(&super::json(&answer));
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = String::new();
    match answer["replays"].as_array() {
        Some(jobs) => jobs.iter().for_each(|job| out.push_str(&format!("{}\n", line(job)))),
        None => out.push_str(&format!("{}\n", line(&answer))),
    }
    if out.is_empty() {
        out.push_str("no bulk replays\n");
    }
    super::print(&out);
    Ok(ExitCode::SUCCESS)
}

/// One bulk replay in one line, for people.
pub(super) fn line(job: &Value) -> String {
    let percent = job["progress"].as_f64().unwrap_or_default() * 100.0;
    let rate = job["rate"].as_u64().map(|rate| format!(" at {rate}/s")).unwrap_or_default();
    format!(
        "{}  replay {}  {}{rate}  {percent:.0} %  replayed {} of {} looked at",
        moment(job["created_ms"].as_u64().unwrap_or_default()),
        job["id"],
        job["state"].as_str().unwrap_or_default(),
        job["replayed"],
        job["looked"],
    )
}
