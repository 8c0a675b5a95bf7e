//! Files and standard output as kinds of destinations: a line of JSON for each delivery.
mod append;
mod files;
mod jsonl;
mod open;
mod places;
mod rotation;
mod stdout;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::{Closing, Environment, Factory, Kind, LaneOptions, Sending};
use crate::error::Problem;
use hookwright_model::{Cause, Delivery, Response};
use hookwright_settings::{FileOptions, LinesOptions};
pub(super) use places::Places;
use writer::Writer;

/// One of them, at work. Two with the same place, as before and after a reload,
/// share its writer.
struct Jsonl {
    writer: Writer,
    file: Option<Arc<FileOptions>>,
    timeout: Duration,
}

impl Jsonl {
    fn new(options: LinesOptions, places: &Places) -> Self {
        let file = options.file.map(Arc::new);
        let writer = places.writer(file.as_deref().map(|file| &*file.path));
        Self { writer, file, timeout: options.timeout }
    }
}

impl Factory for LinesOptions {
    fn make(
        &self,
        _lane: &LaneOptions<'_>,
        environment: &Environment,
        _before: Option<&dyn Kind>,
    ) -> Result<Arc<dyn Kind>, Problem> {
        Ok(Arc::new(Jsonl::new(self.clone(), &environment.places)))
    }
}

impl Kind for Jsonl {
    fn send<'s>(&'s self, delivery: &'s Delivery, at_ms: u64) -> Sending<'s> {
        Box::pin(async move {
            let written = self.writer.write(jsonl::line(delivery, at_ms), self.file.clone(), at_ms);
            match tokio::time::timeout(self.timeout, written).await {
                Ok(Ok(())) => Response::accepted(None),
                Ok(Err(message)) => Response::failed(Cause::Write, message.to_string()),
                Err(_) => {
                    let message = format!("not written within {:?}", self.timeout);
                    Response::failed(Cause::Timeout, message)
                }
            }
        })
    }

    fn accepts_without_status(&self) -> bool {
        true
    }

    fn close(&self) -> Closing<'_> {
        Box::pin(self.writer.idle())
    }
}
