//! Decompresses bodies by their `content-encoding` (gzip, deflate, br and zstd), with limits on size, ratio and empty
//! input.
use std::cell::Cell;
use std::io::{self, BufRead, Read};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use hookwright_server::Charge;

/// The factor by which a body may grow, and the size that it may have in any case.
const RATIO: usize = 100;
const FREE: usize = 64 * 1024;
/// The most encodings of one body.
const LAYERS: usize = 2;
/// Bytes of input that may produce no output, and further ones for each byte of output.
const HOLLOW: usize = 64 * 1024;
const WORTH: usize = 2;
/// Bytes of a body that a decoder gets at a time.
const STEP: usize = 4 * 1024;
const BUFFER: usize = 16 * 1024;
/// The largest window that a zstd frame may ask for: 8 MiB, as RFC 8878 advises.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Why a body could not be decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The encoding is not one that is known, or there are too many of them.
    #[error("the `content-encoding` is none of gzip, deflate, br and zstd, or there are too many")]
    Unsupported,
    /// The body is not in its encoding.
    #[error("the body is not as its `content-encoding` says")]
    Broken,
    /// The plain body is over the limit.
    #[error("the decompressed body is longer than the limit")]
    TooLarge,
    /// The body costs time and has almost no content.
    #[error("the body is much longer than what it holds")]
    Hollow,
    /// The byte budget is used up.
    #[error("there was no memory left for the decompressed body")]
    Memory,
    /// The plain body is out of proportion to the body.
    #[error("the decompressed body is more than {RATIO} times as long as the body")]
    Bomb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    /// With the header of zlib (RFC 1950), as HTTP has it, or without, as some senders do.
    Deflate,
    Brotli,
    Zstd,
}

impl Encoding {
    /// Bytes of input that are read before output must appear.
    fn hollow(self) -> usize {
        match self {
            Self::Gzip | Self::Deflate => HOLLOW,
            // A block, of at most 128 KiB, is taken whole before anything of it shows.
            Self::Zstd => 4 * HOLLOW,
            // A window's worth may be taken, up to 16 MiB; its empty blocks cost little.
            Self::Brotli => usize::MAX / 4,
        }
    }
}

/// The encodings of a body, the outermost last; mostly none.
///
/// # Errors
/// One that is not known here.
pub(super) fn encodings(headers: &HeaderMap) -> Result<Vec<Encoding>, DecodeError> {
    let mut found = Vec::new();
    for value in headers.get_all(header::CONTENT_ENCODING).iter().map(HeaderValue::to_str) {
        for word in value.map_err(|_| DecodeError::Unsupported)?.split(',').map(str::trim) {
            match word.to_ascii_lowercase().as_str() {
                "" | "identity" => {}
                "gzip" | "x-gzip" => found.push(Encoding::Gzip),
                "deflate" => found.push(Encoding::Deflate),
                "br" => found.push(Encoding::Brotli),
                "zstd" => found.push(Encoding::Zstd),
                _ => return Err(DecodeError::Unsupported),
            }
        }
    }
    if found.len() > LAYERS { Err(DecodeError::Unsupported) } else { Ok(found) }
}

/// The plain body, at most `max` bytes, which `charge` holds beside those of the
/// body. Blocks for as long as it computes.
///
/// # Errors
/// Before more than the limit is made in memory.
pub(super) fn plain(
    encodings: &[Encoding],
    body: Bytes,
    max: usize,
    charge: &mut Charge,
) -> Result<Bytes, DecodeError> {
    let ratio = body.len().saturating_mul(RATIO).max(FREE);
    let mut body = body;
    for encoding in encodings.iter().rev() {
        let mut plain = Plain { whole: Vec::new(), max, ratio, charge };
        plain.layer(*encoding, &body)?;
        body = plain.whole.into();
    }
    Ok(body)
}

/// The output of one encoding so far.
struct Plain<'c> {
    whole: Vec<u8>,
    max: usize,
    ratio: usize,
    charge: &'c mut Charge,
}

impl Plain<'_> {
    fn layer(&mut self, encoding: Encoding, body: &[u8]) -> Result<(), DecodeError> {
        let meter = Meter { hollow: encoding.hollow(), ..Meter::default() };
        let from = Metered { rest: body, meter: &meter };
        let broken = |_| DecodeError::Broken;
        let done = match encoding {
            Encoding::Gzip => self.read(flate2::bufread::MultiGzDecoder::new(from), &meter),
            Encoding::Deflate => self.deflate(from),
            Encoding::Brotli => {
                self.read(brotli_decompressor::Decompressor::new(from, STEP), &meter)
            }
            Encoding::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(from).map_err(broken)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(broken)?;
                self.read(decoder, &meter)
            }
        };
        // What a decoder makes of it is only that its input failed.
        if meter.over.get() { Err(DecodeError::Hollow) } else { done }
    }

    /// Whether there is a header of zlib is told by its two bytes; by chance they may be the
    /// first of a stream without one, too.
    fn deflate(&mut self, from: Metered<'_>) -> Result<(), DecodeError> {
        let Metered { rest: body, meter } = from;
        let zlib = match body {
            [method, flags, ..] => {
                method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31)
            }
            _ => false,
        };
        let before = self.whole.len();
        if zlib {
            let mut decoder = flate2::bufread::ZlibDecoder::new(Metered { rest: body, meter });
            match self.read(&mut decoder, meter) {
                Ok(()) if decoder.into_inner().rest.is_empty() => return Ok(()),
                Ok(()) | Err(DecodeError::Broken) if !meter.over.get() => {
                    self.whole.truncate(before);
                }
                Ok(()) => return Err(DecodeError::Broken),
                Err(error) => return Err(error),
            }
            meter.taken.set(0);
            meter.made.set(0);
        }
        let mut decoder = flate2::bufread::DeflateDecoder::new(Metered { rest: body, meter });
        self.read(&mut decoder, meter)?;
        if decoder.into_inner().rest.is_empty() { Ok(()) } else { Err(DecodeError::Broken) }
    }

    fn read(&mut self, mut from: impl Read, meter: &Meter) -> Result<(), DecodeError> {
        let Self { whole, max, ratio, charge } = self;
        let most = *max.min(ratio);
        let mut piece = [0; BUFFER];
        loop {
            let read = match from.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Err(DecodeError::Broken),
            };
            let needed = whole.len() + read;
            if needed > most {
                return Err(if ratio < max { DecodeError::Bomb } else { DecodeError::TooLarge });
            }
            if needed > whole.capacity() {
                let room = needed.max(whole.capacity() * 2).min(most);
                charge.take(room - whole.capacity()).map_err(|_| DecodeError::Memory)?;
                whole.reserve_exact(room - whole.len());
            }
            whole.extend_from_slice(&piece[..read]);
            meter.made.set(meter.made.get() + read);
        }
    }
}

/// The input and output of one encoding, in bytes.
#[derive(Debug, Default)]
struct Meter {
    taken: Cell<usize>,
    made: Cell<usize>,
    hollow: usize,
    over: Cell<bool>,
}

/// Input that fails once too much was read for the output so far: empty members, frames
/// and blocks cost time and produce nothing.
struct Metered<'b> {
    rest: &'b [u8],
    meter: &'b Meter,
}

impl BufRead for Metered<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let meter = self.meter;
        if meter.taken.get() > meter.hollow + WORTH * meter.made.get() {
            meter.over.set(true);
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(&self.rest[..self.rest.len().min(STEP)])
    }

    fn consume(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.meter.taken.set(self.meter.taken.get() + bytes);
    }
}

impl Read for Metered<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buf)?;
        self.consume(read);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_server::Budget;
    use proptest::prelude::*;
    use std::io::Write;

    const MAX: usize = 1024 * 1024;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ::zstd::encode_all(text, 19).unwrap()
    }

    fn charge(most: usize) -> Charge {
        Budget::new("test", most).charge([127, 0, 0, 1].into(), None)
    }

    fn decode(encodings: &[Encoding], body: Vec<u8>) -> Result<Bytes, DecodeError> {
        plain(encodings, body.into(), MAX, &mut charge(64 * MAX))
    }

    #[test]
    fn each_encoding_is_taken_away() {
        assert_eq!(decode(&[Encoding::Gzip], gzip(b"hello")).unwrap(), "hello");
        assert_eq!(decode(&[Encoding::Zstd], zstd(b"hello")).unwrap(), "hello");
        // RFC 7932: one uncompressed meta-block, then an empty last one.
        let brotli = vec![0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        assert_eq!(decode(&[Encoding::Brotli], brotli).unwrap(), "hello");
        let both = gzip(&zstd(b"hello"));
        assert_eq!(decode(&[Encoding::Zstd, Encoding::Gzip], both).unwrap(), "hello");
        let members = [gzip(b"hel"), gzip(b"lo")].concat();
        assert_eq!(decode(&[Encoding::Gzip], members).unwrap(), "hello");
    }

    /// `deflate` was 415, though HTTP has named it from the beginning.
    #[test]
    fn regression_deflate_is_taken_away_with_the_header_of_zlib_or_without() {
        let text = b"hello, hello, hello";
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(text).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        raw.write_all(text).unwrap();
        let raw = raw.finish().unwrap();
        for body in [&zlib, &raw] {
            assert_eq!(decode(&[Encoding::Deflate], body.clone()).unwrap(), &text[..]);
            let cut = body[..body.len() - 3].to_vec();
            assert_eq!(decode(&[Encoding::Deflate], cut), Err(DecodeError::Broken));
            let more = [body.as_slice(), b"x"].concat();
            assert_eq!(decode(&[Encoding::Deflate], more), Err(DecodeError::Broken));
        }
        // RFC 1951: a stored block whose first bytes are those of a header of zlib.
        let stored = [0x78, 0x01, 0x00, 0xfe, 0xff, b'a', 0x01, 0x00, 0x00, 0xff, 0xff];
        assert_eq!(decode(&[Encoding::Deflate], stored.to_vec()).unwrap(), "a");
        assert_eq!(decode(&[Encoding::Deflate], Vec::new()), Err(DecodeError::Broken));
        let zeros = vec![0; 8 * MAX];
        let mut bomb = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        bomb.write_all(&zeros).unwrap();
        let told = decode(&[Encoding::Deflate], bomb.finish().unwrap()).unwrap_err();
        assert!(matches!(told, DecodeError::Bomb | DecodeError::TooLarge), "{told}");
    }

    #[test]
    fn what_grows_too_much_is_stopped() {
        let zeros = vec![0; 64 * MAX];
        for (encoding, body) in [(Encoding::Gzip, gzip(&zeros)), (Encoding::Zstd, zstd(&zeros))] {
            let told = decode(&[encoding], body).unwrap_err();
            assert!(matches!(told, DecodeError::Bomb | DecodeError::TooLarge), "{told}");
        }
        assert_eq!(decode(&[Encoding::Zstd], zstd(&vec![0; MAX])), Err(DecodeError::Bomb));
        assert!(decode(&[Encoding::Zstd], zstd(&vec![0; FREE])).is_ok(), "a little is let through");
        let noise: Vec<u8> =
            (0..2 * MAX as u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let large = [noise.as_slice(), noise.as_slice()].concat();
        assert_eq!(decode(&[Encoding::Gzip], gzip(&large)), Err(DecodeError::TooLarge));
        // A ratio for the whole, not for each layer.
        let twice = gzip(&gzip(&zeros));
        assert!(decode(&[Encoding::Gzip, Encoding::Gzip], twice).is_err());
    }

    #[test]
    fn what_is_cut_or_is_something_else_is_broken() {
        let whole = gzip(b"hello");
        assert_eq!(decode(&[Encoding::Gzip], whole[..12].to_vec()), Err(DecodeError::Broken));
        for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd] {
            let told = decode(&[encoding], b"plain text".to_vec());
            assert_eq!(told, Err(DecodeError::Broken), "{encoding:?}");
        }
    }

    /// A mebibyte of empty gzip members used to take a quarter of a second each time.
    #[test]
    fn regression_a_body_that_holds_next_to_nothing_is_refused() {
        let stored = |block: &[u8]| [&gzip(b"")[..10], &block.repeat(MAX / block.len())].concat();
        // Brotli: empty blocks of metadata, a byte each.
        let metadata = [&[0x0c][..], &[0x06].repeat(MAX), &[0x03]].concat();
        for (encoding, body) in [
            (Encoding::Gzip, gzip(b"").repeat(MAX / 20)),
            (Encoding::Gzip, gzip(b"1").repeat(MAX / 21)),
            (Encoding::Gzip, stored(&[0, 0, 0, 0xff, 0xff])),
            (Encoding::Deflate, [0, 0, 0, 0xff, 0xff].repeat(MAX / 5)),
            (Encoding::Zstd, zstd(b"").repeat(MAX / 9)),
            (Encoding::Zstd, zstd(b"1").repeat(MAX / 10)),
            // Frames that are skipped, of a length of 0.
            (Encoding::Zstd, [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(MAX / 8)),
        ] {
            let since = std::time::Instant::now();
            assert_eq!(decode(&[encoding], body), Err(DecodeError::Hollow), "{encoding:?}");
            assert!(since.elapsed().as_secs() < 5, "{encoding:?}: {:?}", since.elapsed());
        }
        let since = std::time::Instant::now();
        assert_eq!(decode(&[Encoding::Brotli], metadata).unwrap(), "");
        assert!(since.elapsed().as_secs() < 5, "brotli: {:?}", since.elapsed());
        for (encoding, part) in [(Encoding::Gzip, gzip(b"")), (Encoding::Zstd, zstd(b""))] {
            assert_eq!(decode(&[encoding], part.repeat(100)).unwrap(), "", "{encoding:?}");
        }
        // As `bgzip` writes them: many members with something in each, and an empty one.
        let block: Vec<u8> = (0..60_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        let blocks = [gzip(&block).repeat(10), gzip(b"")].concat();
        assert_eq!(decode(&[Encoding::Gzip], blocks).unwrap().len(), 600_000);
        // Of which no block is smaller than what it holds: xorshift.
        let mut state = 1u64;
        let random = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        let noise: Vec<u8> = (0..MAX).map(random).collect();
        for (encoding, body) in [(Encoding::Gzip, gzip(&noise)), (Encoding::Zstd, zstd(&noise))] {
            assert_eq!(decode(&[encoding], body).unwrap().len(), MAX, "{encoding:?}");
        }
    }

    #[test]
    fn what_comes_out_is_charged_as_it_comes() {
        let mut charge = charge(MAX);
        let noise: Vec<u8> = (0..MAX as u32 / 2).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            let body = if encoding == Encoding::Gzip { gzip(&noise) } else { zstd(&noise) };
            let told = plain(&[encoding], body.into(), MAX, &mut charge);
            assert_eq!(told, Err(DecodeError::Memory), "{encoding:?}");
        }
    }

    #[test]
    fn headers_name_the_encodings_in_order() {
        let read = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("content-encoding", HeaderValue::from_static(value));
            }
            encodings(&headers)
        };
        assert_eq!(read(&[]), Ok(vec![]));
        assert_eq!(read(&["identity"]), Ok(vec![]));
        assert_eq!(read(&["GZIP"]), Ok(vec![Encoding::Gzip]));
        assert_eq!(read(&["br, zstd"]), Ok(vec![Encoding::Brotli, Encoding::Zstd]));
        assert_eq!(read(&["br", "x-gzip"]), Ok(vec![Encoding::Brotli, Encoding::Gzip]));
        assert_eq!(read(&["Deflate"]), Ok(vec![Encoding::Deflate]));
        for bad in [&["inflate"][..], &["br, br, br"], &["gzip", "compress"]] {
            assert_eq!(read(bad), Err(DecodeError::Unsupported));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body: Vec<u8>, first in 0usize..4) {
            let all = [Encoding::Gzip, Encoding::Deflate, Encoding::Brotli, Encoding::Zstd];
            let encoding = all[first];
            if let Ok(plain) = plain(&[encoding], body.clone().into(), 10_000, &mut charge(MAX)) {
                prop_assert!(plain.len() <= 10_000);
            }
        }
    }
}
