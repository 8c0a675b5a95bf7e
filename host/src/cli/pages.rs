//! `hookwright completions` and `hookwright man`: what a shell and a reader need, made from the commands themselves.
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;

use super::Cli;

const NAME: &str = "hookwright";

#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell.
    shell: clap_complete::Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Write a page for each command into this folder, instead of printing the main
    /// page.
    #[arg(long)]
    dir: Option<PathBuf>,
}

pub(super) fn completions(args: &Completions) -> anyhow::Result<ExitCode> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), NAME, &mut out);
    super::print(&String::from_utf8(out).context("completions are text")?);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn man(args: &Man) -> anyhow::Result<ExitCode> {
    let command = Cli::command();
    match &args.dir {
        None => {
            let mut out = Vec::new();
            clap_mangen::Man::new(command).render(&mut out)?;
            super::print(&String::from_utf8(out).context("a page is text")?);
        }
        Some(dir) => write(dir, command)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write(dir: &Path, command: clap::Command) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir).with_context(|| format!("can't make {}", dir.display()))?;
    clap_mangen::generate_to(command, dir)
        .with_context(|| format!("can't write to {}", dir.display()))
}
