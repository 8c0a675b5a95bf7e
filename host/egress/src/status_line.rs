//! The status line of an answer over HTTP/1.1 (RFC 9112, 4), as it comes in.
//!
//! It decides what became of a request. A header line, a length or an end that no parser takes comes
//! after it, and takes nothing back.
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

/// So much of a line is looked at.
const LOOKED_AT: usize = 16;

/// The status of the answer to the request in flight, which the connection
/// writes and the client reads; none so far is 0.
#[derive(Debug, Clone, Default)]
pub(super) struct Status(Arc<AtomicU16>);

impl Status {
    pub(super) fn get(&self) -> Option<u16> {
        Some(self.0.load(Ordering::Acquire)).filter(|status| *status > 0)
    }

    /// The answer was read: its status says nothing about another request.
    pub(super) fn clear(&self) {
        self.0.store(0, Ordering::Release);
    }
}

/// Reads on until the status line of the final answer.
#[derive(Debug, Default)]
pub struct StatusLine {
    state: State,
    /// How the present line begins.
    line: [u8; LOOKED_AT],
    length: usize,
    found: Status,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Line,
    /// Headers of an interim answer: another status line follows.
    Interim,
    /// Nothing is looked at until the next request.
    Done,
}

impl StatusLine {
    /// A new request begins: what was found before is not about it.
    pub fn begin(&mut self) {
        self.state = State::Line;
        self.length = 0;
        self.found.clear();
    }

    /// Whether the final answer has begun, or something else than one.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    pub(super) fn found(&self) -> Status {
        self.found.clone()
    }

    /// What was found.
    pub fn status(&self) -> Option<u16> {
        self.found.get()
    }

    /// Reads on; what comes behind the final answer's status line is passed over.
    pub fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.state == State::Done {
                return;
            }
            if *byte == b'\n' {
                self.end_line();
                continue;
            }
            if let Some(place) = self.line.get_mut(self.length) {
                *place = *byte;
            }
            self.length = self.length.saturating_add(1);
        }
    }

    fn end_line(&mut self) {
        let line = &self.line[..self.length.min(LOOKED_AT)];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.state = match (self.state, line) {
            // Empty lines may stand before a status line (RFC 9112, 2.2).
            (State::Line | State::Interim, b"") => State::Line,
            (State::Interim, _) => State::Interim,
            (_, line) => match status(line) {
                // 101 is final: what follows is not HTTP.
                Some(100 | 102..=199) => State::Interim,
                status => {
                    self.found.0.store(status.unwrap_or_default(), Ordering::Release);
                    State::Done
                }
            },
        };
        self.length = 0;
    }
}

/// Of a line's beginning. More spaces than one are forgiven.
fn status(line: &[u8]) -> Option<u16> {
    let rest = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    let rest = rest.trim_ascii_start();
    let (digits, rest) = rest.split_at_checked(3)?;
    let whole = rest.first().is_none_or(|next| matches!(next, b' ' | b'\t' | b'\r'));
    if !whole || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (status >= 100).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &[u8], piece: usize) -> Option<u16> {
        let mut line = StatusLine::default();
        text.chunks(piece).for_each(|some| line.read(some));
        line.status()
    }

    #[test]
    fn the_final_status_is_found_whatever_comes_after_it() {
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\nX-Frame : a\r\n folded\r\n\r\nHTTP/1.1 500 No\r\n", Some(200)),
            ("HTTP/1.0 204\nx", Some(204)),
            ("\r\nHTTP/1.1  410 Gone\r\n", Some(410)),
            ("HTTP/1.1 100 Go on\r\na: HTTP/1.1 500 x\r\n\r\nHTTP/1.1 202 Yes\r\n", Some(202)),
            ("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 102 x\n\nHTTP/1.1 201 x\n", Some(201)),
            ("HTTP/1.1 101 Switch\r\n\r\nHTTP/1.1 200 OK\r\n", Some(101)),
            ("HTTP/1.1 200 OK", None),
            ("HTTP/1.1 100 Go on\r\n\r\n", None),
            ("HTTP/1.1 2000 OK\r\n", None),
            ("HTTP/1.1 20x OK\r\n", None),
            ("HTTP/1.1 099 OK\r\n", None),
            ("HTTP/2 200\r\n", None),
            ("220 smtp\r\nHTTP/1.1 200 OK\r\n", None),
        ] {
            for piece in [1, 3, 1_000] {
                assert_eq!(found(text.as_bytes(), piece), expected, "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn each_request_is_told_its_own() {
        let mut line = StatusLine::default();
        let told = line.found();
        line.read(b"HTTP/1.1 200 OK\r\n");
        assert!(line.is_done() && told.get() == Some(200));
        line.begin();
        assert_eq!(told.get(), None);
        line.read(b"HTTP/1.1 503 No\r\n");
        assert_eq!(told.get(), Some(503));
    }

    proptest! {
        #[test]
        fn any_bytes_say_the_same_however_they_are_cut(bytes: Vec<u8>, piece in 1usize..40) {
            prop_assert_eq!(found(&bytes, piece), found(&bytes, bytes.len().max(1)));
        }
    }
}
