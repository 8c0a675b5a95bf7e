//! `hookwright log`: what the running host logs, and to change it.
use std::process::ExitCode;

use serde_json::json;

use super::api::Where;
use hookwright_model::printable;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A level, or a level with others by target: `info,hookwright::delivery=debug`. It lasts until
    /// the next start, or until the settings change the level. Without it, show the current level.
    filter: Option<String>,
}

pub(super) fn run(host: &Where<'_>, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let answer = super::block_on(async {
        match &args.filter {
            None => api.get("log").await,
            Some(filter) => api.post("log", &json!({ "filter": filter })).await,
        }
    })?;
    super::print(&match as_json {
        true => super::json_line(&answer),
        false => format!("{}\n", printable(answer["filter"].as_str().unwrap_or_default())),
    });
    Ok(ExitCode::SUCCESS)
}
