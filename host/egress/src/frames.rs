//! Parses incoming HTTP/2 frames (RFC 9113, 4.1), only as far as is needed for SETTINGS_MAX_CONCURRENT_STREAMS.
//!
//! The client's HTTP library does not expose the server's limit, and queues requests above it
//! where a timeout can't distinguish them from requests that were sent. So the connection reads the limit itself.

/// Length, kind, flags and stream.
const HEAD: usize = 9;
/// A setting: its id and its value.
const ENTRY: usize = 6;
const SETTINGS: u8 = 4;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// The state of the parser for one connection. It holds a few bytes, however long frames are.
#[derive(Debug, Default)]
pub struct Frames {
    part: [u8; HEAD],
    filled: usize,
    /// Of the payload.
    left: usize,
    /// The payload holds settings.
    settings: bool,
    /// What this frame says.
    said: Option<u32>,
    /// Any settings came before.
    begun: bool,
}

impl Frames {
    /// Reads on. The last limit that these bytes announce; `u32::MAX` where the
    /// first settings name none, which means no limit.
    pub fn read(&mut self, mut bytes: &[u8]) -> Option<u32> {
        let mut limit = None;
        while !bytes.is_empty() {
            if self.left == 0 {
                self.begin(&mut bytes);
            } else if self.settings {
                self.entry(&mut bytes);
            } else {
                self.skip(&mut bytes);
            }
            if self.left == 0 && self.settings && self.filled == 0 {
                self.settings = false;
                limit = self.said.take().or((!self.begun).then_some(u32::MAX)).or(limit);
                self.begun = true;
            }
        }
        limit
    }

    /// The head of the next frame, or a part of it.
    fn begin(&mut self, bytes: &mut &[u8]) {
        if !self.fill(bytes, HEAD) {
            return;
        }
        let [a, b, c, kind, flags, stream @ ..] = self.part;
        self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        let of_connection = stream[0] & 0x7f == 0 && stream[1..] == [0; 3];
        self.settings = kind == SETTINGS && flags & ACK == 0 && of_connection;
    }

    fn entry(&mut self, bytes: &mut &[u8]) {
        if self.filled == 0 && self.left < ENTRY {
            // A frame of a wrong length: the library ends the connection.
            self.skip(bytes);
            return;
        }
        if !self.fill(bytes, ENTRY) {
            return;
        }
        self.left -= ENTRY;
        let [a, b, value @ .., _, _, _] = self.part;
        if u16::from_be_bytes([a, b]) == MAX_CONCURRENT_STREAMS {
            self.said = Some(u32::from_be_bytes(value));
        }
    }

    fn skip(&mut self, bytes: &mut &[u8]) {
        let some = self.left.min(bytes.len());
        *bytes = &bytes[some..];
        self.left -= some;
    }

    /// Whether the part is whole now.
    fn fill(&mut self, bytes: &mut &[u8], whole: usize) -> bool {
        let some = (whole - self.filled).min(bytes.len());
        self.part[self.filled..self.filled + some].copy_from_slice(&bytes[..some]);
        *bytes = &bytes[some..];
        self.filled = (self.filled + some) % whole;
        self.filled == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len() as u32;
        let mut frame = length.to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, stream]);
        frame.extend(payload);
        frame
    }

    fn setting(id: u16, value: u32) -> Vec<u8> {
        [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    /// However the bytes are cut.
    fn read(bytes: &[u8], piece: usize) -> Vec<u32> {
        let mut frames = Frames::default();
        bytes.chunks(piece).filter_map(|some| frames.read(some)).collect()
    }

    #[test]
    fn the_limit_is_found_wherever_it_stands() {
        let named = [setting(4, 65_535), setting(3, 7), setting(5, 16_384)].concat();
        let looks_alike = setting(3, 1);
        let all = [
            frame(4, 0, 0, &named),
            frame(0, 0, 1, &[4; 300]),
            frame(4, 1, 0, b""),
            // Neither is of the connection's settings.
            frame(4, 0, 3, &looks_alike),
            frame(9, 0, 1, &looks_alike),
            // Says nothing about it.
            frame(4, 0, 0, &setting(4, 1)),
            frame(4, 0, 0, &setting(3, 0)),
            frame(4, 0, 0, b"odd"),
        ]
        .concat();
        for piece in [1, 2, 5, 9, 14] {
            assert_eq!(read(&all, piece), [7, 0], "{piece}");
        }
        assert_eq!(read(&all, all.len()), [0], "the last one counts");
        assert_eq!(read(&frame(4, 0, 0, b""), 100), [u32::MAX]);
        assert_eq!(read(&frame(4, 0, 0, &setting(2, 0)), 1), [u32::MAX]);
    }

    proptest! {
        #[test]
        fn any_bytes_say_the_same_however_they_are_cut(bytes: Vec<u8>, piece in 1usize..40) {
            prop_assert_eq!(read(&bytes, piece).pop(), read(&bytes, bytes.len().max(1)).pop());
        }
    }
}
