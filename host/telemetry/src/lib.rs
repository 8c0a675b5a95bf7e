//! The process's logs and the traces that it exports. `app` installs the log at the start and follows the settings with its
//! [`Levels`]; every line that concerns an event carries its id.
//!
//! Logging may lose lines, which are counted, and does nothing else to the host: `sink` never waits and never fails.
#![deny(missing_docs)]

mod format;
mod sink;
mod targets;
#[cfg(test)]
mod testing;
pub mod traces;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use format::{Fields, Json, Text};
use hookwright_terminal::Stream;
use sink::Sink;
use targets::PublicTargets;

/// How long the end of the process waits for the last lines to be written.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest filter, in bytes.
pub const FILTER_BYTES: usize = 1024;

/// How log lines are written, on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object for each line.
    Json,
}

/// Why a log was not set up, or its filter not changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of the filter can't be read.
    #[error("`{part}` is no part of a log filter ({why}): write a level, or `level,target=level`")]
    Filter {
        /// The part, escaped.
        part: String,
        /// What is wrong with it.
        why: String,
    },
    /// The filter has too many bytes.
    #[error("a log filter has at most {FILTER_BYTES} bytes")]
    Long,
    /// Another set-up came first.
    #[error("the process has a log set-up already")]
    Twice,
    /// The process's set-up was dropped.
    #[error("the process's log set-up is gone")]
    Gone,
    /// The system has no thread for it.
    #[error("the log's thread does not start: {0}")]
    Thread(#[from] std::io::Error),
}

/// The process's log. When dropped, it waits up to two seconds until its last lines are written.
pub struct Log {
    /// Changes the log filter.
    pub levels: Levels,
    sink: Sink,
}

impl Drop for Log {
    fn drop(&mut self) {
        // Only lines that are not read are lost.
        self.sink.flush(FLUSH_TIMEOUT);
    }
}

/// The log filter, which can be changed while the process runs. Clones share it.
#[derive(Clone)]
pub struct Levels(Arc<Shared>);

struct Shared {
    put: Put,
    now: Mutex<String>,
    /// Whether `RUST_LOG` is set, which overrides the settings.
    by_variable: bool,
}

type Put = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

impl Levels {
    /// The active filter.
    pub fn filter(&self) -> String {
        self.0.now.lock().clone()
    }

    /// Changes the filter: a level, or a list of `target=level` with one. A
    /// word that is not a level is refused, though it might be a target: alone it
    /// would silence all others.
    ///
    /// # Errors
    /// If it can't be parsed; the old filter stays.
    pub fn set(&self, filter: &str) -> Result<(), Error> {
        let read = read(filter)?;
        let mut now = self.0.now.lock();
        if !(self.0.put)(read) {
            return Err(Error::Gone);
        }
        filter.clone_into(&mut now);
        Ok(())
    }

    /// Applies a changed level of the settings, unless `RUST_LOG` overrides it.
    ///
    /// # Errors
    /// As `set`.
    pub fn follow(&self, level: &str) -> Result<(), Error> {
        if self.0.by_variable { Ok(()) } else { self.set(level) }
    }
}

/// Installs the process's log set-up, and a hook that logs panics. `filter` is a level or a list
/// of `target=level`; the variable `RUST_LOG` overrides it. To be called once a process. Keep the result until
/// the process ends.
///
/// # Errors
/// Where the filter can't be read, a set-up exists already, or no thread can be had.
pub fn install(format: Format, filter: &str) -> Result<Log, Error> {
    // Empty is as unset: containers set variables that have no value.
    let variable = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let by_variable = variable.is_some();
    let wanted = variable.unwrap_or_else(|| filter.to_owned());
    // The variable is parsed as in other programs.
    let first = if by_variable { known(&wanted) } else { read(&wanted) };
    let first = first?;
    let sink = Sink::start(|lines: &[u8]| Stream::Error.write_all(lines))?;
    let (filter, handle) = reload::Layer::new(PublicTargets(first));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(sink.clone())
        .with_ansi(std::io::stderr().is_terminal())
        // It would print to standard error by itself.
        .log_internal_errors(false);
    let subscriber = tracing_subscriber::registry().with(filter);
    let done = match format {
        Format::Text => {
            subscriber.with(lines.fmt_fields(Fields).event_format(Text(SystemTime))).try_init()
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_target(false);
            subscriber.with(lines.map_event_format(Json)).try_init()
        }
    };
    done.map_err(|_| Error::Twice)?;
    let put = Box::new(move |filter| handle.reload(PublicTargets(filter)).is_ok());
    // The standard one writes to standard error by itself, and waits where nobody reads.
    std::panic::set_hook(Box::new(tell));
    let levels = Levels(Arc::new(Shared { put, now: Mutex::new(wanted), by_variable }));
    Ok(Log { levels, sink })
}

/// Logs a panic, with its backtrace where `RUST_BACKTRACE` asks for one.
fn tell(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let place = panic.location().map(tracing::field::display);
    let why = panic.payload_as_str().unwrap_or("a value that is no text");
    let trace = Backtrace::capture();
    let trace =
        (trace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(trace));
    tracing::error!(thread, place, backtrace = trace, "panicked: {why}");
}

fn read(filter: &str) -> Result<EnvFilter, Error> {
    if filter.len() > FILTER_BYTES {
        return Err(Error::Long);
    }
    for part in filter.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        if level.is_empty() || level.parse::<LevelFilter>().is_err() {
            let why = "its level is none of error, warn, info, debug, trace and off".to_owned();
            return Err(Error::Filter { part: part.escape_debug().to_string(), why });
        }
    }
    known(filter)
}

fn known(filter: &str) -> Result<EnvFilter, Error> {
    EnvFilter::try_new(filter).map_err(|error| Error::Filter {
        part: filter.escape_debug().to_string(),
        why: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_by_target_and_a_slip_is_told() {
        for good in ["info", "off", "warn,hookwright::delivery=debug", "info,hyper=off"] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "debgu",
            "hookwright",
            "info,hookwright=loud",
            "info,,warn",
            "info, warn",
            "[=info",
        ] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("level"), "{bad}: {error}");
        }
        assert!(matches!(read(&"a=info,".repeat(200)), Err(Error::Long)));
    }
}
