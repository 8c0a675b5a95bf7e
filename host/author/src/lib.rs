//! `hookwright plugin`: what an author of plugins needs on the command line.
mod bench;
mod build;
mod c;
mod cases;
mod check;
mod component;
mod declarations;
mod engine;
mod inspect;
mod language;
mod new;
mod sdk;
mod settings_page;
mod toolchain;
mod typescript;
mod workspace;

use std::process::ExitCode;

use anyhow::Context as _;
use hookwright_plugins::Compiler;

pub use cases::{Outcome, difference};
pub use component::find;
pub use engine::Engine;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
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
}

pub fn run(command: Command, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(args) => new::run(&args)?,
        Command::Build(args) => drop(build::run(&args)?),
        Command::Check(args) => return check::run(&args, json),
        Command::Inspect(args) => return inspect::run(&args, json),
        Command::Test(args) => return cases::run(&args, json),
        Command::Bench(args) => return bench::run(&args, json),
    }
    Ok(ExitCode::SUCCESS)
}

/// Plugins are compiled by this same program, in a process of its own with limits.
fn compiler() -> anyhow::Result<Compiler> {
    Compiler::this_program().context("this program has no path")
}

/// A runtime for a command.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}
