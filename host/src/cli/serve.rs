//! `hookwright serve`: the host, until it is told to stop.
use std::path::Path;
use std::process::ExitCode;

use crate::app::{App, Setup, Watched};
use crate::config::LogFormat;
use crate::telemetry::{self, Format};

pub(super) fn run(path: &Path) -> anyhow::Result<ExitCode> {
    let watched = Watched::new(path.to_owned());
    let config = super::load(path)?;
    let format = match config.log.format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let log = telemetry::install(format, config.log.level.as_str())?;
    for warning in config.warnings.iter() {
        tracing::warn!("{}: {}", warning.key, warning.message);
    }
    raise_open_files();
    let metrics = crate::metrics::install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let clean = runtime.block_on(async {
        let setup = Setup {
            metrics: Some(metrics),
            settings: Some(watched),
            compiler: Some(super::compiler()?),
            log: Some(log),
        };
        let app = App::start(config, setup).await?;
        // The host serves on where nobody reads what it prints.
        let _ = super::write(&format!(
            "hookwright {}: events at http://{}/in/SOURCE, console at http://{}/\n",
            env!("CARGO_PKG_VERSION"),
            app.ingress_address(),
            app.admin_address(),
        ));
        anyhow::Ok(app.run_until_signal().await)
    })?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
