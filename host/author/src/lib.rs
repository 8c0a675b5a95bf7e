//! The tools of plugin authors: `hookwright plugin new`, `build`, `check`, `inspect`, `test` and `bench`.
//!
//! The binary hands the command line to [`run`]; `hookwright plugin replay`, which asks a running host,
//! uses [`Engine`] and compares by [`difference`]. A binary that only runs plugins is built without this crate.
#![deny(missing_docs)]

mod bench;
mod build;
mod c;
mod cases;
mod check;
mod component;
mod contract;
mod declarations;
mod engine;
mod inspect;
mod language;
mod new;
mod program;
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

/// The subcommands of `hookwright plugin` that need no running host.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Begin a plugin: a project that builds and passes its cases at once.
    New(new::NewArgs),
    /// Build plugins to components.
    Build(build::BuildArgs),
    /// Take a component through the host's whole gate, without activating it.
    Check(check::CheckArgs),
    /// Show what a component is: version, imports, and the settings that it knows.
    Inspect(inspect::InspectArgs),
    /// Run a folder of cases through the host's engine and compare the verdicts.
    Test(cases::TestArgs),
    /// Measure a call beside a plugin that does nothing.
    Bench(bench::BenchArgs),
}

/// Runs one subcommand; `json` asks for its result as JSON on standard output. Answers the process's exit code.
///
/// # Errors
/// When the command can't do its work: the text names the file or the program, and what to do.
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

/// What compiles plugins: this same program, in a child process with limits.
fn compiler() -> anyhow::Result<Compiler> {
    Compiler::this_program().context("this program has no path")
}

/// Runs a command's asynchronous work to its end, on this thread.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}
