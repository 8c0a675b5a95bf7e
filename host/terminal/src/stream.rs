//! The process's standard output and standard error, written past the standard library's buffers: a reader that went
//! away is an error and never a panic, and a descriptor that does not block is waited for.
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// One of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Not everything could be written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Short {
    /// Bytes that were.
    pub written: usize,
    /// Why the rest was not written.
    #[source]
    pub error: io::Error,
}

impl Stream {
    /// Writes all of it. Blocks as long as nobody reads: call it where that harms nothing else.
    ///
    /// # Errors
    /// As the system refuses: the reader is gone, the disk is full.
    pub fn write_all(self, bytes: &[u8]) -> Result<(), Short> {
        match self {
            Self::Output => {
                // One writer at a time: a pipe keeps only short writes in one piece.
                let lock = io::stdout().lock();
                write_all(lock.as_fd(), bytes)
            }
            // No lock: a thread that is stuck here must not hold up one that reports a panic.
            Self::Error => write_all(io::stderr().as_fd(), bytes),
        }
    }
}

/// Writes all of it into a descriptor, as [`Stream::write_all`].
fn write_all(to: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Short> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(to, rest) {
            Ok(0) => return Err(Short { written, error: io::ErrorKind::WriteZero.into() }),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            // Another process that shares the descriptor made it so.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&to, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(Short { written, error: error.into() }),
            },
            Err(error) => return Err(Short { written, error: error.into() }),
        }
    }
    Ok(())
}

impl From<Short> for io::Error {
    fn from(short: Short) -> Self {
        short.error
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_reader_that_went_away_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let short = write_all(writer.as_fd(), b"line\n").unwrap_err();
        assert_eq!((short.written, short.error.kind()), (0, io::ErrorKind::BrokenPipe));
    }

    #[test]
    fn a_descriptor_that_does_not_block_is_waited_for() {
        let (mut reader, writer) = io::pipe().unwrap();
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        rustix::fs::fcntl_setfl(&writer, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        let sent = vec![b'x'; 1 << 20];
        let reads = std::thread::spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        write_all(writer.as_fd(), &sent).unwrap();
        drop(writer);
        assert!(reads.join().unwrap().unwrap() == sent);
    }
}
