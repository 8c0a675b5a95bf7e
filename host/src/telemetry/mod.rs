//! Sets up the process's logs. Every line that concerns an event carries its id.
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines are written, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("`{0}` is no log filter: write a level, or `level,target=level` ({1})")]
    Filter(String, ParseError),
    #[error("the process has a log set-up already")]
    Twice,
}

/// Installs the process's log set-up. `filter` is a level or a list of
/// `target=level`; the variable `RUST_LOG` wins over it. Once a process.
///
/// # Errors
/// Where the filter can't be read or a set-up exists already.
pub fn install(format: Format, filter: &str) -> Result<(), Error> {
    let wanted = std::env::var("RUST_LOG").unwrap_or_else(|_| filter.to_owned());
    let filter = EnvFilter::try_new(&wanted).map_err(|error| Error::Filter(wanted, error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let done = match format {
        Format::Text => builder.try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    };
    done.map_err(|_| Error::Twice)
}
