//! Tracks the frame boundaries of a peer's HTTP/2 bytes, so that an unfinished head can be distinguished from an idle
//! connection.

/// The connection preface of HTTP/2.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames of one connection, by their lengths alone.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the preface received so far.
    preface: usize,
    /// Whether there was no preface: the connection uses HTTP/1.1.
    other: bool,
    head: [u8; HEAD],
    /// Bytes of the current frame's head received so far.
    got: usize,
    /// Bytes of its payload still to be received.
    left: usize,
    /// Whether a request's header fields are incomplete.
    block: bool,
}

impl Frames {
    /// Whether a frame, or a request's header fields, are incomplete after these bytes.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) -> bool {
        if self.other {
            return false;
        }
        let due = PREFACE[self.preface..].len().min(bytes.len());
        if bytes[..due] != PREFACE[self.preface..self.preface + due] {
            self.other = true;
            return false;
        }
        self.preface += due;
        bytes = &bytes[due..];
        while !bytes.is_empty() {
            if self.left > 0 {
                let now = self.left.min(bytes.len());
                self.left -= now;
                bytes = &bytes[now..];
                continue;
            }
            let now = (HEAD - self.got).min(bytes.len());
            self.head[self.got..self.got + now].copy_from_slice(&bytes[..now]);
            self.got += now;
            bytes = &bytes[now..];
            if self.got == HEAD {
                self.got = 0;
                self.begin();
            }
        }
        self.got > 0 || self.left > 0 || self.block
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
        if matches!(kind, HEADERS | CONTINUATION) {
            self.block = flags & END_HEADERS == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::frame;
    use proptest::prelude::*;

    fn opening() -> Vec<u8> {
        [PREFACE, &frame(4, 0, 0, b"")].concat()
    }

    #[test]
    fn a_frame_or_a_block_that_is_half_there_is_known() {
        let mut frames = Frames::default();
        assert!(!frames.follow(&opening()));
        assert!(!frames.follow(&frame(HEADERS, END_HEADERS, 1, b"abc")));
        assert!(frames.follow(&frame(HEADERS, 0, 3, b"abc")), "the block goes on");
        assert!(frames.follow(&frame(CONTINUATION, 0, 3, b"abc")));
        assert!(!frames.follow(&frame(CONTINUATION, END_HEADERS, 3, b"")));
        let data = frame(0, 1, 3, b"abcdef");
        assert!(frames.follow(&data[..4]) && frames.follow(&data[4..12]));
        assert!(!frames.follow(&data[12..]));
        assert!(!Frames::default().follow(b"POST / HTTP/1.1\r\n"));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference_and_no_bytes_are_too_strange(bytes: Vec<u8>, cut: prop::sample::Index) {
            let all = [opening(), bytes].concat();
            let (first, second) = all.split_at(cut.index(all.len()));
            let (mut whole, mut pieces) = (Frames::default(), Frames::default());
            let told = whole.follow(&all);
            pieces.follow(first);
            // An empty piece tells the same as the one before it.
            prop_assert_eq!(pieces.follow(second), told);
        }
    }
}
