//! The stream of one connection: reports its reads and writes, hides the end of a half-closed connection, and
//! replaces the HTTP library's refusals without a body by complete responses.
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{self, AsyncRead, AsyncWrite, ReadBuf};

use super::ErrorCode;
use super::frames::Frames;
use super::head::{Limits, START, Unread};
use super::pulse::Pulse;

/// Bytes that are read and discarded after a refusal, so that the peer sees it.
const LINGER: usize = 512 * 1024;

pub(super) struct Watched<IO> {
    io: IO,
    pulse: Arc<Pulse>,
    limits: Limits,
    start: Start,
    frames: Frames,
    refusing: Option<Refusing>,
}

/// The beginning of the current head, and its number.
struct Start {
    bytes: [u8; START],
    len: usize,
    of: u32,
}

/// A refusal by the server, after which the connection is closed.
struct Refusing {
    answer: Bytes,
    shut: bool,
    left: usize,
}

impl<IO> Watched<IO> {
    pub(super) fn new(io: IO, pulse: Arc<Pulse>, limits: Limits) -> Self {
        let start = Start { bytes: [0; START], len: 0, of: 0 };
        Self { io, pulse, limits, start, frames: Frames::default(), refusing: None }
    }

    /// Remembers how a head begins.
    fn note(&mut self, new: &[u8]) {
        let Start { bytes, len, of } = &mut self.start;
        if self.pulse.is_between() {
            (*len, *of) = (0, self.pulse.begun());
        }
        let more = new.len().min(START - *len);
        bytes[*len..*len + more].copy_from_slice(&new[..more]);
        *len += more;
    }

    fn refuse(&mut self, code: ErrorCode) {
        let problem = self.limits.problem(code);
        let known = self.start.of == self.pulse.begun();
        let start = if known { &self.start.bytes[..self.start.len] } else { &[][..] };
        let unread = Unread::from_start(code, problem.request(), start);
        let answer = problem.closing(unread.method != "HEAD");
        self.pulse.refuse(unread);
        self.refusing = Some(Refusing { answer, shut: false, left: LINGER });
    }

    /// A write by the HTTP library while no response is due is its own
    /// refusal of a head: 400, 414 or 431 without a body.
    fn take_refusal(&mut self, written: &[u8]) -> bool {
        if self.refusing.is_some() {
            return true;
        }
        if !written.starts_with(b"HTTP/1.") || !self.pulse.owes_nothing() {
            return false;
        }
        let code = match written.get(9..12) {
            Some(b"400") => ErrorCode::BadRequest,
            Some(b"414") => ErrorCode::UriTooLong,
            Some(b"431") => ErrorCode::HeadTooLarge,
            _ => return false,
        };
        self.refuse(code);
        true
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Watched<IO> {
    /// Writes the refusal.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusing) = &mut self.refusing else { return Poll::Ready(Ok(())) };
        while !refusing.answer.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &refusing.answer))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            refusing.answer.advance(written);
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Writes the refusal, closes our half, and reads on until the peer has closed
    /// its own: closing with unread bytes would reset the connection under the answer.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        let Some(refusing) = &mut self.refusing else { return Poll::Ready(Ok(())) };
        if !refusing.shut {
            ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
            refusing.shut = true;
        }
        while refusing.left > 0 {
            let mut piece = [0; 4096];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut piece))?;
            match piece.filled().len() {
                0 => break,
                read => refusing.left = refusing.left.saturating_sub(read),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if self.refusing.is_none() {
            let result = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
            let read = buf.filled().len() - before;
            if let Err(error) = result {
                // A peer that closes its half of a TLS connection and doesn't say
                // close_notify. Nothing can be cut off by it unseen: every request tells its length.
                if error.kind() != io::ErrorKind::UnexpectedEof {
                    return Poll::Ready(Err(error));
                }
            }
            if read == 0 {
                return self.pulse.poll_end(cx);
            }
            let new = &buf.filled()[before..];
            self.note(new);
            let half = self.frames.follow(new);
            if self.pulse.hear(read, half).is_ok() {
                return Poll::Ready(Ok(()));
            }
            buf.set_filled(before);
            self.refuse(ErrorCode::MemoryFull);
        }
        // The connection sees the end.
        self.poll_refusal(cx)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.take_refusal(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        let result = ready!(Pin::new(&mut self.io).poll_write(cx, bytes));
        self.pulse.wrote();
        Poll::Ready(result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = slices.iter().find(|slice| !slice.is_empty());
        if first.is_some_and(|first| self.take_refusal(first)) {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let result = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
        self.pulse.wrote();
        Poll::Ready(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refusing.is_some() {
            return self.poll_answer(cx);
        }
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.pulse.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refusing.is_some() {
            return self.poll_refusal(cx);
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
