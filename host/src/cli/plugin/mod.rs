//! `hookwright plugin`: what an author of plugins needs on the command line.
mod build;
mod check;
mod component;
mod new;
mod sdk;
mod toolchain;
mod workspace;

use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Begin a plugin in Rust: a project that builds and passes its test at once.
    New(new::NewArgs),
    /// Build plugins to components.
    Build(build::BuildArgs),
    /// Take a component through the host's whole gate, without putting it in force.
    Check(check::CheckArgs),
}

pub(super) fn run(command: Command, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        Command::New(args) => new::run(&args)?,
        Command::Build(args) => drop(build::run(&args)?),
        Command::Check(args) => return check::run(&args, json),
    }
    Ok(ExitCode::SUCCESS)
}
