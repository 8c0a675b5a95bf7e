//! `hookwright serve`: the host, until it is told to stop.
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::app::{App, Setup, Watched};
use hookwright_config::LogFormat;
use hookwright_telemetry::Format;
use hookwright_terminal::Stream;

/// How long shutdown waits for system calls that hang, on a file or on a stalled standard output.
pub(super) const LEFTOVERS: Duration = Duration::from_secs(1);

pub(super) fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let (config, seen) = super::load_watched(path)?;
    let watched = Watched { path: path.to_owned(), seen };
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let log = hookwright_telemetry::install(format, config.log.level.as_str())?;
    for warning in config.warnings.iter() {
        tracing::warn!("{}: {}", warning.key, warning.message);
    }
    raise_open_files();
    let closed = !config.core_dumps;
    if closed {
        no_core_dumps();
    }
    let metrics = hookwright_model::metrics::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let setup = Setup {
            metrics: Some(metrics),
            settings: Some(watched),
            compiler: Some(hookwright_plugins::Compiler::this_program()?),
            log: Some(log.levels.clone()),
        };
        let app = App::start(config, setup).await?;
        if closed {
            // Only now: from here on what is below `/proc/self` belongs to root, and
            // the engine has to open a file there.
            close_memory();
        }
        tell(format!(
            "hookwright {}: events at {}://{}/in/SOURCE, console at http://{}/\n",
            env!("CARGO_PKG_VERSION"),
            if app.is_secure() { "https" } else { "http" },
            app.ingress_address(),
            app.admin_address(),
        ));
        anyhow::Ok(app.run_until_signal().await)
    });
    runtime.shutdown_timeout(LEFTOVERS);
    Ok(if ended? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the first line. A thread of its own waits where nobody reads standard output, so that the host serves.
fn tell(line: String) {
    let print = move || drop(Stream::Output.write_all(line.as_bytes()));
    if let Err(error) = std::thread::Builder::new().name("first line".to_owned()).spawn(print) {
        tracing::warn!(%error, "the addresses are not printed: the system has no thread left");
    }
}

/// Disables core dumps: the process's memory holds secrets.
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a crash may leave a core dump, which holds secrets");
    }
}

/// Keeps the kernel from passing the memory to a program that collects core dumps, whatever
/// their limit, and other processes of the same user from reading it.
fn close_memory() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "others of this user may look into the process");
    }
}

/// Each connection is an open file, and the soft limit is 1,024 by custom, for programs
/// that use `select`; this one may use what the hard limit allows.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
