//! `hookwright plugin`: the author's tools, and the one of them that asks a running host.
mod history;
mod replay;
mod tally;

use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    #[command(flatten)]
    Author(hookwright_author::Command),
    /// Run a candidate over recorded events, beside the active version; nothing is sent.
    Replay(replay::ReplayArgs),
}

pub(super) fn run(config: &Path, command: Command, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Command::Author(command) => hookwright_author::run(command, json),
        Command::Replay(args) => replay::run(config, &args, json),
    }
}
