//! `hookwright backup`: a copy of the store, made by the running host.
use std::process::ExitCode;

use serde_json::json;

use super::api::Where;
use hookwright_model::Name;
use hookwright_model::printable;

/// Copies the running host's store into a new folder under `store.backups`.
/// The copy is a data directory: to restore it, stop the host and replace
/// `data_dir` with it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder's name; by default one with the current time.
    name: Option<Name>,
}

pub(super) fn run(host: &Where<'_>, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let api = host.api()?;
    let asked = json!({ "name": args.name.as_ref().map(ToString::to_string) });
    let made = super::block_on(api.post_patiently("backups", &asked))?;
    if as_json {
        super::print(&super::json_line(&made));
    } else {
        let mib = made["bytes"].as_u64().unwrap_or_default().div_ceil(1 << 20);
        let path = printable(made["path"].as_str().unwrap_or_default());
        super::print(&format!("{path}: {} events, {mib} MiB\n", made["events"]));
    }
    Ok(ExitCode::SUCCESS)
}
