//! One file of the journal: its name and its header. Pure.
use std::path::{Path, PathBuf};

use super::record::Salt;

pub(super) const MAGIC: &[u8; 8] = b"hookwrit";
/// Of the journal's files. Raise it with every change that an older version can't read.
pub(crate) const FORMAT: u32 = 2;
/// Bytes of the header: magic, format, salt, first row, node, CRC-32 of all before it. In format 1 the
/// file's number, which its name has too, stood where the salt is.
pub(crate) const HEADER: u64 = 36;

/// One file. Segment i holds the events with rows from its first one up to the
/// next segment's, and copies of older unfinished ones.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) first_row: i64,
    pub(crate) path: PathBuf,
    /// Up to where it is whole and synced.
    pub(crate) bytes: u64,
    pub(crate) salt: Salt,
}

/// A header's bytes.
pub(super) type Header = [u8; HEADER as usize];

/// What a header says beside the file's name: the store's node, and the salt.
pub(super) type NodeAndSalt = (u64, Salt);

pub(super) fn file_name(number: u32, first_row: i64) -> String {
    format!("{number:08x}-{first_row:016x}.journal")
}

/// Number and first row, where the file is a segment.
pub(super) fn parse_name(path: &Path) -> Option<(u32, i64)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let (number, row) = stem.split_once('-')?;
    Some((u32::from_str_radix(number, 16).ok()?, i64::from_str_radix(row, 16).ok()?))
}

pub(super) fn header(format: u32, salt: u32, first_row: i64, node: u64) -> Header {
    let mut out = [0; HEADER as usize];
    out[..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&format.to_le_bytes());
    out[12..16].copy_from_slice(&salt.to_le_bytes());
    out[16..24].copy_from_slice(&first_row.to_le_bytes());
    out[24..32].copy_from_slice(&node.to_le_bytes());
    let crc = crc32fast::hash(&out[..32]);
    out[32..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// None where the header is not what this version or an older one wrote.
pub(super) fn parse_header(bytes: &Header, segment: &Segment) -> Option<NodeAndSalt> {
    let short = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four"));
    let (format, salt) = (short(8), short(12));
    let node = u64::from_le_bytes(bytes[24..32].try_into().expect("eight bytes"));
    let whole = *bytes == header(format, salt, segment.first_row, node);
    match format {
        1 => (whole && salt == segment.number).then_some((node, Salt::NONE)),
        FORMAT => whole.then_some((node, Salt(salt))),
        _ => None,
    }
}

/// The header as it was, where one flipped bit is all that is wrong.
pub(super) fn mended_header(bytes: &Header, segment: &Segment) -> Option<(Header, NodeAndSalt)> {
    (0..bytes.len() * 8).find_map(|bit| {
        let mut mended = *bytes;
        mended[bit / 8] ^= 1 << (bit % 8);
        parse_header(&mended, segment).map(|found| (mended, found))
    })
}
