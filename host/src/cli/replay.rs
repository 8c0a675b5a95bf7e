//! `hookwright replay`: handle events again.
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::events::{Which, safe};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Events by id; or none, and filters.
    events: Vec<String>,
    /// Send again to this destination what was sent before, instead of going
    /// through today's plugins.
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(config: &Path, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let config = super::load(config)?;
    let api = Api::new(&config);
    let filter = filter(&args.which);
    if args.events.is_empty() == filter.is_empty() {
        bail!(
            "name events by id, or say which by filters, `--delivery dead --since 24h` for example"
        );
    }
    let replayed = super::block_on(async {
        if args.events.is_empty() {
            return replay_found(&api, filter, args.to.as_deref()).await;
        }
        for event in &args.events {
            let id = safe(event).replace(['/', '?', '#'], "");
            api.post(&format!("events/{id}/replay"), &json!({ "destination": args.to })).await?;
        }
        Ok(args.events.len() as u64)
    })?;
    if json {
        super::print(&format!("{}\n", json!({ "replayed": replayed })));
    } else {
        super::print(&format!("replayed {replayed}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Asks until the host has looked at all of them; answers how many were replayed.
async fn replay_found(
    api: &Api,
    mut filter: Map<String, Value>,
    to: Option<&str>,
) -> anyhow::Result<u64> {
    let mut replayed = 0;
    loop {
        let wanted = json!({ "filter": filter, "destination": to });
        let done = api
            .post("replays", &wanted)
            .await
            .with_context(|| format!("stopped after {replayed} were replayed"))?;
        replayed += done["replayed"].as_u64().unwrap_or_default();
        match &done["next"] {
            Value::String(_) => filter.insert("before".to_owned(), done["next"].clone()),
            _ => return Ok(replayed),
        };
    }
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
