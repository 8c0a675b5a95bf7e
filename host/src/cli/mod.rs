//! The commands: parse into one enum, then one match. One file for each.
mod api;
mod audit;
mod backup;
mod check;
mod demo;
mod destinations;
mod doctor;
mod events;
mod listen;
mod log;
mod pages;
#[cfg(feature = "author")]
mod plugin;
mod plugins;
mod ready;
mod rejected;
mod reload;
mod replay;
mod replays;
mod send;
mod serve;
mod show;
mod sources;
mod stats;
mod tail;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use api::Where;

use hookwright_config::{Config, Seen, Sources};
use hookwright_terminal::{complain, json, json_line, note, print, print_before, print_raw};

/// A webhook router: receives webhooks, stores them durably, passes each to sandboxed
/// WebAssembly plugins, then signs, delivers and retries.
#[derive(Debug, Parser)]
#[command(name = "hookwright", version, after_help = FIRST_STEPS)]
struct Cli {
    /// The settings file.
    #[arg(long, global = true, default_value = "hookwright.toml", env = "HOOKWRIGHT_CONFIG")]
    config: PathBuf,
    /// The admin URL of a host elsewhere, such as `https://hooks.example.com:8081`, instead of
    /// the host that the settings describe. Set its token in HOOKWRIGHT_TOKEN.
    #[arg(long, global = true, value_name = "URL", env = "HOOKWRIGHT_HOST")]
    host: Option<String>,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  hookwright demo                      watch one event from request to delivery
  hookwright check                     find all mistakes in hookwright.toml
  hookwright doctor                    find problems with this machine and the destinations
  hookwright serve                     run the host
  hookwright send github               post a sample event, signed as GitHub signs it
  hookwright events --delivery dead    list events that could not be delivered
  hookwright show EVENT                show what happened to one event, step by step
  hookwright replay EVENT              route the event again, through the current plugins

Exit codes: 0 success, 1 failure, 2 usage error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host until SIGTERM or Ctrl-C.
    Serve,
    /// Check the settings file and report all mistakes at once, each with its line and a fix.
    Check,
    /// Find problems that keep the host from running well on this machine, each with a fix.
    Doctor(doctor::Args),
    /// Post an event to a source of the running host, signed as its provider signs it.
    Send(send::Args),
    /// List events, newest first.
    Events(events::Args),
    /// Show what happened to one event: verdicts, deliveries, attempts.
    Show(show::Args),
    /// Show why requests to a source were refused, newest last.
    Rejected(rejected::Args),
    /// Replay events: through the current plugins, or to one destination as they were sent before.
    Replay(replay::Args),
    /// List bulk replays with their progress; stop and resume them.
    Replays(replays::Args),
    /// Follow events as they arrive and as their state changes.
    Tail(tail::Args),
    /// List destinations with their health and backlog, or enable, disable or pause one.
    Destinations(destinations::Args),
    /// List sources, or show how one is set up at its provider.
    Sources(sources::Args),
    /// List plugins: active versions, calls, failures, candidates.
    Plugins,
    /// Show the host's figures: backlog, rates, lag.
    Stats,
    /// Check whether the host accepts events: exit code 0 if it does. Needs no token.
    Ready,
    /// Show who changed what and when.
    Audit(audit::Args),
    /// Show the running host's log level, or change it.
    Log(log::Args),
    /// Reload the running host's settings and all files that they name, as SIGHUP does: for
    /// machines where no signal can be sent.
    Reload,
    /// Create tokens for the admin API.
    #[command(subcommand)]
    Token(token::Command),
    /// Forward live events to a service on this machine, each once, and show its responses.
    Listen(listen::Args),
    /// Copy the running host's store into a new folder.
    Backup(backup::Args),
    /// Run a host with a demo source, plugins and a local receiver, and send one event through it.
    Demo(demo::Args),
    /// Create, build and check plugins.
    #[cfg(feature = "author")]
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// The tools for plugin authors, which this build does not include.
    #[cfg(not(feature = "author"))]
    #[command(hide = true, disable_help_flag = true)]
    Plugin {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        _arguments: Vec<std::ffi::OsString>,
    },
    /// Print a shell's completion script.
    Completions(pages::Completions),
    /// Print the manual page, or write the pages of all commands.
    Man(pages::Man),
    /// Compile one component, under limits that the parent process sets. For the host's own use.
    #[command(hide = true)]
    CompilePlugin,
}

/// Runs the command line that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let serves = matches!(cli.command, Command::Serve);
    match run(cli) {
        Ok(code) => code,
        Err(error) if serves => {
            complain_briefly(error);
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { config, host, json, command } = cli;
    let host = Where { config: &config, host: host.as_deref() };
    match command {
        Command::Serve => serve::run(&config),
        Command::Check => check::run(&config, json),
        Command::Doctor(args) => doctor::run(&config, json, &args),
        Command::Send(args) => send::run(&config, json, args),
        Command::Events(args) => events::run(&host, json, &args),
        Command::Show(args) => show::run(&host, json, &args),
        Command::Rejected(args) => rejected::run(&host, json, &args),
        Command::Replay(args) => replay::run(&host, json, &args),
        Command::Replays(args) => replays::run(&host, json, &args),
        Command::Tail(args) => tail::run(&host, json, &args),
        Command::Destinations(args) => destinations::run(&host, json, &args),
        Command::Sources(args) => sources::run(&host, json, &args),
        Command::Plugins => plugins::run(&host, json),
        Command::Stats => stats::run(&host, json),
        Command::Ready => ready::run(&host, json),
        Command::Audit(args) => audit::run(&host, json, &args),
        Command::Log(args) => log::run(&host, json, &args),
        Command::Reload => reload::run(&host, json),
        Command::Token(command) => token::run(&command, json),
        Command::Listen(args) => listen::run(&host, json, &args),
        Command::Backup(args) => backup::run(&host, json, &args),
        Command::Demo(args) => demo::run(args),
        #[cfg(feature = "author")]
        Command::Plugin(command) => plugin::run(&config, command, json),
        #[cfg(not(feature = "author"))]
        Command::Plugin { .. } => anyhow::bail!(
            "this build does not include the tools for plugin authors: build one that does with `cargo build -p hookwright`"
        ),
        Command::Completions(args) => pages::completions(&args),
        Command::Man(args) => pages::man(&args),
        Command::CompilePlugin => {
            let code = hookwright_plugins::compile_child_main(std::io::stdin(), std::io::stdout());
            Ok(ExitCode::from(code))
        }
    }
}

/// Reports an error as `complain` does, for two seconds at most: a supervisor waits for the host to
/// end even where nobody reads standard error.
fn complain_briefly(error: anyhow::Error) {
    let (done, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        complain(&error);
        // The receiver is gone where that took too long.
        let _ = done.send(());
    });
    let _ = told.recv_timeout(Duration::from_secs(2));
}

/// The settings, or all their mistakes as they are shown to people.
fn load(path: &std::path::Path) -> anyhow::Result<Config> {
    load_watched(path).map(|(config, _)| config)
}

/// The same, with what the files held that it was read from.
fn load_watched(path: &std::path::Path) -> anyhow::Result<(Config, Seen)> {
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let (sources, seen) = Sources::watched();
    let config = Config::load(path, &sources).map_err(|mistakes| {
        anyhow::anyhow!("mistakes in the settings\n{}", mistakes.render(colour))
    })?;
    Ok((config, seen))
}

/// A runtime for a command that talks to a host.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}
