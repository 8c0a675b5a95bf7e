//! Files and standard output, the second and third kind of destination: a line of JSON for each delivery.
mod append;
mod line;
mod open;
mod places;
mod rotation;
mod stdout;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::kind::{Closing, Kind, Sending};
use hookwright_model::{Cause, Delivery, Outcome};
pub(super) use places::Places;
use writer::Writer;

/// The permissions that a new file gets where the settings say nothing: events
/// may hold what nobody but the host's own user is to read.
pub const FILE_MODE: u32 = 0o600;

/// A file that lines are appended to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOptions {
    pub path: PathBuf,
    /// A new file is begun where this one would become larger, in bytes. Default: never.
    pub max_size: Option<u64>,
    /// A new file is begun when this one was begun so long ago. Default: never.
    pub max_age: Option<Duration>,
    /// So many files that are full are kept. Default: all.
    pub keep: Option<usize>,
    /// Permissions of a new file, whatever the process's umask. Default [`FILE_MODE`].
    pub mode: u32,
}

impl FileOptions {
    /// The defaults for a path.
    pub fn new(path: PathBuf) -> Self {
        Self { path, max_size: None, max_age: None, keep: None, mode: FILE_MODE }
    }
}

/// A destination that lines are written to, as the settings have it.
#[derive(Debug, Clone)]
pub struct LinesOptions {
    /// None: standard output.
    pub file: Option<FileOptions>,
    /// For one line to be on the disk. Default 10 s.
    pub timeout: Duration,
}

/// One of them, at work. Two with the same place, as before and after a reload,
/// share its writer.
pub(super) struct Lines {
    writer: Writer,
    file: Option<Arc<FileOptions>>,
    timeout: Duration,
}

impl Lines {
    pub(super) fn new(options: LinesOptions, places: &Places) -> Self {
        let file = options.file.map(Arc::new);
        let writer = places.writer(file.as_deref().map(|file| &*file.path));
        Self { writer, file, timeout: options.timeout }
    }
}

impl Kind for Lines {
    fn send<'s>(&'s self, delivery: &'s Delivery, at_ms: u64) -> Sending<'s> {
        Box::pin(async move {
            let written = self.writer.write(line::of(delivery, at_ms), self.file.clone(), at_ms);
            match tokio::time::timeout(self.timeout, written).await {
                Ok(Ok(())) => Outcome::Taken,
                Ok(Err(message)) => failed(Cause::Write, message.to_string()),
                Err(_) => failed(Cause::Timeout, format!("not written within {:?}", self.timeout)),
            }
        })
    }

    fn takes_silently(&self) -> bool {
        true
    }

    fn close(&self) -> Closing<'_> {
        Box::pin(self.writer.idle())
    }
}

fn failed(cause: Cause, message: String) -> Outcome {
    Outcome::Failed { cause, message }
}
