//! Which segments a data directory has: their names and headers, read at opening.
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::damage::Damage;
use super::disk::Disk;
use super::record::Salt;
use super::segment::{
    FORMAT, HEADER, Header, MAGIC, NodeAndSalt, Segment, mended_header, parse_header, parse_name,
};
use crate::error::OpenError;

/// The segments in the directory, oldest first, and the node that they name.
///
/// Files whose creation never ended are removed. A header that one flipped bit spoiled is set right.
///
/// # Errors
/// Where a header is damaged, of a newer version, or of another store than its neighbours.
pub(crate) fn segments(
    dir: &Path,
    disk: &dyn Disk,
    damage: &Damage,
) -> Result<(Vec<Segment>, Option<u64>), OpenError> {
    let mut found = BTreeMap::new();
    let mut node = None;
    for entry in std::fs::read_dir(dir).map_err(OpenError::io(dir))? {
        let path = entry.map_err(OpenError::io(dir))?.path();
        let Some((number, first_row)) = parse_name(&path) else { continue };
        let bytes = std::fs::metadata(&path).map_err(OpenError::io(&path))?.len();
        let named = Segment { number, first_row, path, bytes, salt: Salt::NONE };
        let path = &named.path;
        let Some((own, salt)) = check_header(&named, disk, damage)? else {
            if bytes > HEADER {
                return Err(OpenError::journal(path, 0, "the header does not match"));
            }
            tracing::warn!(file = %path.display(), "removing a segment that was never begun");
            disk.remove(path).map_err(OpenError::io(path))?;
            continue;
        };
        if *node.get_or_insert(own) != own {
            let what = "it belongs to another store than its neighbours";
            return Err(OpenError::journal(path, 24, what));
        }
        found.insert(number, Segment { salt, ..named });
    }
    Ok((found.into_values().collect(), node))
}

/// Node and salt in the header; none where it is not what the writer wrote.
fn check_header(
    segment: &Segment,
    disk: &dyn Disk,
    damage: &Damage,
) -> Result<Option<NodeAndSalt>, OpenError> {
    let path = &segment.path;
    let file = File::options().read(true).write(true).open(path).map_err(OpenError::io(path))?;
    let mut bytes: Header = [0; HEADER as usize];
    if file.read_exact_at(&mut bytes, 0).is_err() {
        return Ok(None);
    }
    if let Some(found) = parse_header(&bytes, segment) {
        return Ok(Some(found));
    }
    if let Some((mended, found)) = mended_header(&bytes, segment) {
        damage.keep_bytes(segment, 0, &bytes);
        let written = disk.write_at(path, &file, &mended, 0).and_then(|()| disk.sync(path, &file));
        written.map_err(OpenError::io(path))?;
        return Ok(Some(found));
    }
    let format = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes"));
    if &bytes[..8] == MAGIC && format > FORMAT {
        return Err(OpenError::Newer { file: path.to_owned(), found: format, known: FORMAT });
    }
    Ok(None)
}
