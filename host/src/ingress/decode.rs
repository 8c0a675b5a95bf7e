//! Takes a body's `content-encoding` away: gzip, br and zstd, bounded in size and in ratio.
use std::io::{self, Read};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

/// A body may become so many times larger, and that much in any case.
const RATIO: usize = 100;
const FREE: usize = 64 * 1024;
/// Encodings of one body, one around the other.
const LAYERS: usize = 2;
const BUFFER: usize = 16 * 1024;
/// The largest window that a zstd frame may ask for: 8 MiB, as RFC 8878 advises.
const ZSTD_WINDOW_LOG: u32 = 23;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecodeError {
    #[error("the `content-encoding` is none of gzip, br and zstd, or there are too many")]
    Unsupported,
    #[error("the body is not as its `content-encoding` says")]
    Broken,
    #[error("the decompressed body is longer than the limit")]
    TooLarge,
    #[error("the decompressed body is more than {RATIO} times as long as the body")]
    Bomb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Gzip,
    Brotli,
    Zstd,
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
                "br" => found.push(Encoding::Brotli),
                "zstd" => found.push(Encoding::Zstd),
                _ => return Err(DecodeError::Unsupported),
            }
        }
    }
    if found.len() > LAYERS { Err(DecodeError::Unsupported) } else { Ok(found) }
}

/// The plain body, at most `max` bytes. Blocks for as long as it computes.
///
/// # Errors
/// Before more than the limit is made in memory.
pub(super) fn plain(encodings: &[Encoding], body: Bytes, max: usize) -> Result<Bytes, DecodeError> {
    let ratio = body.len().saturating_mul(RATIO).max(FREE);
    let mut body = body;
    for encoding in encodings.iter().rev() {
        body = layer(*encoding, &body, max, ratio)?;
    }
    Ok(body)
}

fn layer(encoding: Encoding, body: &[u8], max: usize, ratio: usize) -> Result<Bytes, DecodeError> {
    match encoding {
        Encoding::Gzip => read(flate2::bufread::MultiGzDecoder::new(body), max, ratio),
        Encoding::Brotli => read(brotli_decompressor::Decompressor::new(body, BUFFER), max, ratio),
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(body).map_err(|_| DecodeError::Broken)?;
            let bounded = decoder.window_log_max(ZSTD_WINDOW_LOG);
            bounded.map_err(|_| DecodeError::Broken)?;
            read(decoder, max, ratio)
        }
    }
}

fn read(mut from: impl Read, max: usize, ratio: usize) -> Result<Bytes, DecodeError> {
    let most = max.min(ratio);
    let mut whole = Vec::new();
    let mut piece = [0; BUFFER];
    loop {
        let read = match from.read(&mut piece) {
            Ok(0) => return Ok(whole.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => return Err(DecodeError::Broken),
        };
        if whole.len() + read > most {
            return Err(if ratio < max { DecodeError::Bomb } else { DecodeError::TooLarge });
        }
        whole.extend_from_slice(&piece[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    fn decode(encodings: &[Encoding], body: Vec<u8>) -> Result<Bytes, DecodeError> {
        plain(encodings, body.into(), MAX)
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
        for encoding in [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd] {
            let told = decode(&[encoding], b"plain text".to_vec());
            assert_eq!(told, Err(DecodeError::Broken), "{encoding:?}");
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
        for bad in [&["deflate"][..], &["br, br, br"], &["gzip", "compress"]] {
            assert_eq!(read(bad), Err(DecodeError::Unsupported));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(body: Vec<u8>, first in 0usize..3) {
            let encoding = [Encoding::Gzip, Encoding::Brotli, Encoding::Zstd][first];
            if let Ok(plain) = plain(&[encoding], body.clone().into(), 10_000) {
                prop_assert!(plain.len() <= 10_000);
            }
        }
    }
}
