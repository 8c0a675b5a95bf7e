//! What a plugin writes during one call: capped, made harmless, kept with the event.
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use crate::limits::{HOST_CALLS, LOG_LINES};
use crate::run::fault::TooManyCalls;
use crate::text::escape;
use hookwright_model::{EventId, Name};

/// Characters of the message that goes with a trap.
const LAST_ERROR: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Where the lines of one call go: into the host's own log, and into the book.
#[derive(Debug)]
pub(crate) struct Log {
    plugin: Name,
    /// None while the plugin is set up.
    event: Option<EventId>,
    book: Mutex<Book>,
    /// Prints that the guest may still make, over all its streams.
    prints: AtomicU32,
}

impl Log {
    /// Keeps that many bytes.
    pub(crate) fn new(plugin: Name, event: Option<EventId>, bytes: u64) -> Self {
        let (book, prints) = (Mutex::new(Book::new(bytes)), AtomicU32::new(HOST_CALLS));
        Self { plugin, event, book, prints }
    }

    pub(crate) fn write(&self, level: Level, message: &str) {
        let kept = self.book.lock().write(level, message).map(str::to_owned);
        let Some(line) = kept else { return };
        let (plugin, event) = (self.plugin.as_str(), self.event.map(tracing::field::display));
        match level {
            Level::Trace => tracing::trace!(target: "plugin", plugin, event, "{line}"),
            Level::Debug => tracing::debug!(target: "plugin", plugin, event, "{line}"),
            Level::Info => tracing::info!(target: "plugin", plugin, event, "{line}"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, event, "{line}"),
            Level::Error => tracing::error!(target: "plugin", plugin, event, "{line}"),
        }
    }

    /// Whether nothing more is kept, the last error's message aside.
    pub(crate) fn is_full(&self) -> bool {
        self.book.lock().full
    }

    /// Counts a print.
    pub(crate) fn print(&self) -> wasmtime::Result<()> {
        let one_less = |left: u32| left.checked_sub(1);
        match self.prints.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => Ok(()),
            Err(_) => wasmtime::bail!(TooManyCalls),
        }
    }

    /// The lines so far, and the newest of level error: where a plugin
    /// panicked, that one says why.
    pub(crate) fn take(&self) -> (Vec<String>, Option<String>) {
        let mut book = self.book.lock();
        (std::mem::take(&mut book.lines), book.last_error.take())
    }
}

/// The log of one call.
#[derive(Debug)]
struct Book {
    lines: Vec<String>,
    room: usize,
    full: bool,
    last_error: Option<String>,
}

impl Book {
    fn new(bytes: u64) -> Self {
        let room = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { lines: Vec::new(), room, full: false, last_error: None }
    }

    /// Adds one message and gives it back as it was kept; none once the book is full.
    fn write(&mut self, level: Level, message: &str) -> Option<&str> {
        if level == Level::Error {
            self.last_error = Some(escape(message, LAST_ERROR));
        }
        if self.full {
            return None;
        }
        let text = escape(message, self.room);
        let line = format!("{}: {text}", level.as_str());
        if self.lines.len() + 1 >= LOG_LINES || line.len() >= self.room {
            self.full = true;
            self.lines.push("(the log is full: further lines were dropped)".into());
            return None;
        }
        self.room -= line.len();
        self.lines.push(line);
        self.lines.last().and_then(|line| line.get(level.as_str().len() + 2..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let mut book = Book::new(1_000);
        let kept = book.write(Level::Info, "a\nb\u{1b}[31mc\u{202e}\r\n").map(str::to_owned);
        assert_eq!(kept.as_deref(), Some("a\\nb\\u{1b}[31mc\\u{202e}"));
    }

    #[test]
    fn a_flood_is_cut_and_says_so_once() {
        let mut book = Book::new(100);
        for _ in 0..1_000 {
            book.write(Level::Info, "0123456789");
        }
        book.write(Level::Error, "last words");
        let lines = book.lines.clone();
        assert!(lines.iter().map(String::len).sum::<usize>() < 160, "{lines:?}");
        assert!(lines.last().is_some_and(|line| line.contains("full")), "{lines:?}");
        assert_eq!(book.last_error.as_deref(), Some("last words"));
    }
}
