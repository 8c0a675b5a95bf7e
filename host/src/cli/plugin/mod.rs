//! `hookwright plugin`: what an author of plugins needs on the command line.
mod bench;
mod build;
mod c;
mod cases;
mod check;
mod component;
mod declarations;
mod engine;
mod history;
mod inspect;
mod language;
mod new;
mod replay;
mod sdk;
mod settings_page;
mod tally;
mod toolchain;
mod typescript;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Begin a plugin: a project that builds and passes its cases at once.
    New(new::NewArgs),
    /// Build plugins to components.
    Build(build::BuildArgs),
    /// Take a component through the host's whole gate, without putting it in force.
    Check(check::CheckArgs),
    /// Show what a component is: version, imports, and the settings that it knows.
    Inspect(inspect::InspectArgs),
    /// Run a folder of cases through the host's engine and compare the verdicts.
    Test(cases::TestArgs),
    /// Measure a call beside a plugin that does nothing.
    Bench(bench::BenchArgs),
    /// Run a candidate over recorded events beside the version in force; nothing is sent.
    Replay(replay::ReplayArgs),
}

pub(super) fn run(config: &Path, command: Command, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(args) => new::run(&args)?,
        Command::Build(args) => drop(build::run(&args)?),
        Command::Check(args) => return check::run(&args, json),
        Command::Inspect(args) => return inspect::run(&args, json),
        Command::Test(args) => return cases::run(&args, json),
        Command::Bench(args) => return bench::run(&args, json),
        Command::Replay(args) => return replay::run(config, &args, json),
    }
    Ok(ExitCode::SUCCESS)
}
