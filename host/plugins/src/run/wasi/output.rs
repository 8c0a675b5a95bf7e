//! A guest's standard output and error, as lines of its event's log.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::run::log::{Level, Log};

/// What a stream takes at once.
const CHUNK: usize = 4 << 10;

/// Standard output or error, as log lines.
pub(super) struct LogStream {
    log: Arc<Log>,
    level: Level,
    /// A line that has not ended yet.
    partial: Vec<u8>,
}

impl LogStream {
    pub(super) fn new(log: &Arc<Log>, level: Level) -> Self {
        Self { log: log.clone(), level, partial: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.log.is_full() {
            return self.last_words(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() > CHUNK {
                self.end_line();
            }
        }
    }

    /// Of what is not kept any more only the last error's line may still be told.
    fn last_words(&mut self, bytes: &[u8]) {
        if self.level != Level::Error {
            return;
        }
        let (lines, rest) = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => bytes.split_at(end + 1),
            None => (&[][..], bytes),
        };
        if !lines.is_empty() {
            match lines.rsplit(|byte| *byte == b'\n').find(|line| !is_noise(line)) {
                // The first of them may continue where a print before ended.
                Some(line) if std::ptr::eq(line.as_ptr(), lines.as_ptr()) => {
                    self.partial.extend_from_slice(line);
                }
                Some(line) => self.partial = line.to_vec(),
                None => {}
            }
            self.end_line();
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > CHUNK {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if !is_noise(&self.partial) {
            self.log.write(self.level, &String::from_utf8_lossy(&self.partial));
        }
        self.partial.clear();
    }
}

/// What says nothing: empty lines, and what Rust adds to each panic, which would be
/// the last words otherwise.
fn is_noise(line: &[u8]) -> bool {
    line.trim_ascii().is_empty() || line.starts_with(b"note: run with `RUST_BACKTRACE")
}

impl Drop for LogStream {
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self::new(&self.log, self.level))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self::new(&self.log, self.level))
    }
}

#[async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // So it is agreed: no more than `check_write` allowed.
        if bytes.len() > CHUNK {
            return Err(StreamError::trap("a write of more bytes than the stream takes at once"));
        }
        self.log.print().map_err(StreamError::Trap)?;
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HOST_CALLS;

    /// The fault: a print could hold millions of lines, and prints were not counted.
    #[test]
    fn regression_prints_are_bounded_in_bytes_and_number() {
        let log = Arc::new(Log::new("p".parse().unwrap(), None, 1_000));
        let (mut out, mut err) =
            (LogStream::new(&log, Level::Info), LogStream::new(&log, Level::Error));
        assert!(out.write(vec![b'\n'; CHUNK + 1].into()).is_err());
        for _ in 0..HOST_CALLS / 2 {
            out.write(vec![b'\n'; 10].into()).unwrap();
            err.write(Bytes::from_static(b"oh\n\n")).unwrap();
        }
        assert!(out.write(Bytes::from_static(b"x")).is_err());
        assert!(log.is_full());
        assert_eq!(log.take().1.as_deref(), Some("oh"));
    }

    #[test]
    fn the_last_words_are_told_though_the_log_is_full() {
        for (pieces, last) in [
            (&["one\ntwo\n"][..], "two"),
            (&["on", "e\n\n \n"], "one"),
            (&["one\ntw", "o", "\nnote: run with `RUST_BACKTRACE=1`\n"], "two"),
            (&["one\n", "two"], "one"),
        ] {
            let log = Arc::new(Log::new("p".parse().unwrap(), None, 10));
            log.write(Level::Info, "more than fits");
            let mut lines = LogStream::new(&log, Level::Error);
            pieces.iter().for_each(|piece| lines.take(piece.as_bytes()));
            assert_eq!(log.take().1.as_deref(), Some(last), "{pieces:?}");
        }
    }

    #[test]
    fn what_is_printed_in_pieces_is_one_line() {
        let log = Arc::new(Log::new("p".parse().unwrap(), None, 1_000));
        let mut lines = LogStream::new(&log, Level::Error);
        for piece in ["panicked ", "at 7:\nno", " room\n\n", "note: run with `RUST_BACKTRACE=1`\n"]
        {
            lines.take(piece.as_bytes());
        }
        drop(lines);
        let (kept, last) = log.take();
        assert_eq!(kept, ["error: panicked at 7:", "error: no room"]);
        assert_eq!(last.as_deref(), Some("no room"));
    }
}
