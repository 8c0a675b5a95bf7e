//! Finding whole records again behind damage, and telling damage from a write that was cut short. Pure.
use crc32fast::Hasher;

use super::record::{self, HEAD, Head, Salt};

/// From one remembered sum to the next, in bytes.
const MARK: usize = 4_096;
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Looks for records in bytes that may hold anything.
///
/// Each place may look like the head of a long record, so no content is summed
/// up twice: the sums from the front to each mark are kept, and that of a part
/// follows from those of its two ends.
pub(crate) struct Search {
    bytes: Vec<u8>,
    salt: Salt,
    marks: Vec<u32>,
}

impl Search {
    pub(crate) fn new(bytes: Vec<u8>, salt: Salt) -> Self {
        let mut sum = Hasher::new();
        let mut marks = vec![0];
        for part in bytes.chunks_exact(MARK) {
            sum.update(part);
            marks.push(sum.clone().finalize());
        }
        Self { bytes, salt, marks }
    }

    /// Where the first whole record at `from` or behind it starts.
    pub(crate) fn next(&self, from: usize) -> Option<usize> {
        // The kind is the last byte of a head, and zero is none: room that was
        // reserved is passed by quickly.
        let first = from + HEAD - 1;
        let kinds = self.bytes.get(first..)?.iter().enumerate();
        let mut starts = kinds.filter(|(_, kind)| (1..=4).contains(*kind)).map(|(at, _)| from + at);
        starts.find(|start| self.is_record(*start))
    }

    fn is_record(&self, start: usize) -> bool {
        let Ok(head) = record::head(&self.bytes[start..]) else { return false };
        let (from, to) = (start + HEAD - 1, start + HEAD + head.length);
        to <= self.bytes.len() && self.sum(from, to) == head.crc
    }

    /// That of kind and content, as the head has it.
    fn sum(&self, from: usize, to: usize) -> u32 {
        let mut before = Hasher::new_with_initial(self.up_to(from) ^ self.salt.0);
        before.combine(&Hasher::new_with_initial_len(0, (to - from) as u64));
        self.up_to(to) ^ before.finalize()
    }

    fn up_to(&self, place: usize) -> u32 {
        let mark = place / MARK;
        let mut sum = Hasher::new_with_initial(self.marks[mark]);
        sum.update(&self.bytes[mark * MARK..place]);
        sum.finalize()
    }
}

/// What the end of a segment is that holds no whole record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing but zeros: room that the writer had reserved.
    Spare,
    /// As a write that was cut short leaves it: the front of a record, or one
    /// that lacks sectors.
    Torn,
    /// All there, and not what was written.
    Damaged,
}

/// `offset` is where in the file the bytes stand. Those that [`mended`] has an
/// answer for are damaged.
pub(crate) fn ending(bytes: &[u8], offset: u64, salt: Salt) -> Ending {
    let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else { return Ending::Spare };
    if mended(bytes, salt).is_some() {
        return Ending::Damaged;
    }
    let written = last + 1;
    let cut_short = match record::head(bytes) {
        Ok(head) => written < HEAD + head.length,
        Err(_) => written < HEAD,
    };
    let first = (offset.next_multiple_of(SECTOR as u64) - offset) as usize;
    let mut sectors = bytes[..written].get(first..).unwrap_or_default().chunks_exact(SECTOR);
    let front = &bytes[..first.min(written)];
    let lacks = (!front.is_empty() && front.iter().all(|byte| *byte == 0))
        || sectors.any(|sector| sector.iter().all(|byte| *byte == 0));
    if cut_short || lacks { Ending::Torn } else { Ending::Damaged }
}

/// The head that a record at the front would have to have, where one flipped bit
/// of it is all that is wrong. The content agrees with it, so that it is not
/// guessed: of random bytes one in sixty million would.
pub(crate) fn mended(bytes: &[u8], salt: Salt) -> Option<Head> {
    let head: [u8; HEAD] = *bytes.first_chunk()?;
    let mut flips = (0..HEAD * 8).map(|bit| {
        let mut head = head;
        head[bit / 8] ^= 1 << (bit % 8);
        head
    });
    flips.find_map(|head| {
        let head = record::head(&head).ok()?;
        let content = bytes.get(HEAD..HEAD + head.length)?;
        record::check(head, salt, content).is_ok().then_some(head)
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::super::record::EventRef;
    use super::*;
    use hookwright_model::Name;

    const SALT: Salt = Salt(0xfeed);

    fn record(salt: Salt, body: &[u8]) -> Vec<u8> {
        let source: Name = "shop".parse().unwrap();
        let headers = HeaderMap::new();
        let event = EventRef {
            row: 7,
            received_ms: 0,
            source: &source,
            kind: "push",
            headers: &headers,
            body,
            key: None,
        };
        let mut out = Vec::new();
        assert!(record::put_event(&mut out, salt, &event));
        out
    }

    proptest! {
        #[test]
        fn a_record_is_found_behind_anything(
            before in prop::collection::vec(any::<u8>(), 0..9_000),
            body in prop::collection::vec(any::<u8>(), 0..9_000),
            after in prop::collection::vec(any::<u8>(), 0..99),
        ) {
            let whole = record(SALT, &body);
            let bytes = [&before[..], &whole[..], &after[..]].concat();
            let search = Search::new(bytes, SALT);
            prop_assert_eq!(search.next(0), Some(before.len()));
            prop_assert_eq!(search.next(before.len() + 1), None);
        }

        #[test]
        fn one_flipped_bit_of_a_head_is_found(bit in 0..HEAD * 8, body: Vec<u8>) {
            let whole = record(SALT, &body);
            let mut bytes = [&whole[..], &[0; 700][..]].concat();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(mended(&bytes, SALT), record::head(&whole).ok());
            prop_assert_eq!(&mended(&bytes, SALT).unwrap().bytes()[..], &whole[..HEAD]);
            prop_assert_eq!(ending(&bytes, 36, SALT), Ending::Damaged);
        }

        #[test]
        fn a_record_that_was_cut_short_is_torn(body: Vec<u8>, cut: prop::sample::Index, room: bool) {
            let whole = record(SALT, &body);
            let mut bytes = whole[..cut.index(whole.len() - 1) + 1].to_vec();
            bytes.resize(bytes.len() + if room { 5_000 } else { 0 }, 0);
            let found = ending(&bytes, 36, SALT);
            // What ends in zeros may be all there; then it is whole.
            let whole = bytes.starts_with(&whole);
            prop_assert!(whole || matches!(found, Ending::Torn), "{found:?}");
        }
    }

    /// A record inside a body, as anybody may send one, is not taken for one: its
    /// sum does not begin where those of the segment do.
    #[test]
    fn regression_a_record_that_a_sender_wrote_into_a_body_is_not_found() {
        let forged = record(Salt::NONE, b"forged");
        let mut bytes = record(SALT, &forged);
        bytes[0] ^= 1;
        let next = record(SALT, b"next");
        let start = bytes.len();
        bytes.extend_from_slice(&next);
        assert_eq!(Search::new(bytes, SALT).next(1), Some(start));
    }

    #[test]
    fn an_end_is_told_apart() {
        let whole = record(SALT, &[b'x'; 3_000]);
        let mut flipped = whole.clone();
        flipped[1_500] ^= 4;
        assert_eq!(ending(&flipped, 36, SALT), Ending::Damaged);
        let mut lacks = whole.clone();
        lacks[512 - 36..1_024 - 36].fill(0);
        assert_eq!(ending(&lacks, 36, SALT), Ending::Torn);
        let mut headless = whole;
        headless[..512 - 36].fill(0);
        assert_eq!(ending(&headless, 36, SALT), Ending::Torn);
        assert_eq!(ending(&[0; 5_000], 36, SALT), Ending::Spare);
        assert_eq!(ending(b"\x01", 36, SALT), Ending::Torn);
        assert_eq!(ending(&[0xa5; 5_000], 36, SALT), Ending::Damaged);
    }
}
