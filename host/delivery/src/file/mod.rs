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

use std::sync::Arc;
use std::time::Duration;

use super::kind::{Closing, Kind, Sending};
use hookwright_model::{Cause, Delivery, Outcome};
use hookwright_settings::{FileOptions, LinesOptions};
pub(super) use places::Places;
use writer::Writer;

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
