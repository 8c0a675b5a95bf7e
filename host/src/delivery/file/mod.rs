//! Files and standard output, the second and third kind of destination: a line of JSON for each delivery.
mod line;
mod rotation;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use super::kind::{Kind, Sending};
use crate::model::{Cause, Delivery, Outcome};
use writer::{Place, Writer};

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
}

/// A destination that lines are written to, as the settings have it.
#[derive(Debug, Clone)]
pub struct LinesOptions {
    /// None: standard output.
    pub file: Option<FileOptions>,
    /// For one line to be on the disk. Default 10 s.
    pub timeout: Duration,
}

/// One of them, at work.
pub(super) struct Lines {
    writer: Writer,
    timeout: Duration,
}

impl Lines {
    pub(super) fn new(options: LinesOptions) -> Self {
        let place = options.file.map_or(Place::Stdout, Place::File);
        Self { writer: Writer::new(place), timeout: options.timeout }
    }
}

impl Kind for Lines {
    fn send<'s>(&'s self, delivery: &'s Delivery, at_ms: u64) -> Sending<'s> {
        Box::pin(async move {
            let written = self.writer.write(line::of(delivery, at_ms), at_ms);
            match tokio::time::timeout(self.timeout, written).await {
                Ok(Ok(())) => Outcome::Taken,
                Ok(Err(message)) => failed(Cause::Write, message.to_string()),
                Err(_) => failed(Cause::Timeout, format!("not written within {:?}", self.timeout)),
            }
        })
    }
}

fn failed(cause: Cause, message: String) -> Outcome {
    Outcome::Failed { cause, message }
}
