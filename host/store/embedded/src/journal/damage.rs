//! What of the store's files is damaged or lost: a copy is kept, and it is told until a person has looked.
//!
//! Each place leaves a file in the folder `damaged` of the data directory, named
//! by segment and offset, so that it is copied and told of once, over restarts
//! too, and outlives its segment. Moving the file away says that it was seen.
use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use metrics::{Counter, Gauge, counter, gauge};
use parking_lot::Mutex;

use super::disk::Disk;
use super::record::{HEAD, Head};
use super::scan::Gap;
use super::segment::Segment;
use hookwright_model::metrics::{STORE_DAMAGE, STORE_DAMAGED};
use hookwright_store::Fault;

/// Torn ends that are kept; each crash under load may leave one.
const TORN: usize = 8;
const BYTES: &str = "bytes";
const NOTE: &str = "txt";
const TORN_END: &str = "torn";

pub(crate) struct Damage {
    dir: PathBuf,
    /// What is wrong as long as the host runs, by what it is about.
    active: Mutex<BTreeMap<String, String>>,
    places: Gauge,
    records: Counter,
    torn: Counter,
}

/// The folder in a data directory.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join("damaged")
}

impl Damage {
    pub(crate) fn open(data: &Path) -> Self {
        let damage = Self {
            dir: folder(data),
            active: Mutex::default(),
            places: gauge!(STORE_DAMAGED),
            records: counter!(STORE_DAMAGE, "what" => "records"),
            torn: counter!(STORE_DAMAGE, "what" => "torn"),
        };
        damage.list();
        damage
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.clone()
    }

    /// A copy of bytes of the journal that are no record any more.
    ///
    /// # Errors
    /// Where the copy can't be written. What it is of is then told all the same.
    pub(crate) fn keep(&self, segment: &Segment, gap: Gap, bytes: &[u8]) -> io::Result<()> {
        let bytes = written(gap, bytes);
        let file = segment.path.display();
        let (offset, length) = (gap.from, bytes.len());
        let copied = self.write(&name(segment, gap, BYTES), bytes);
        if let Ok(false) = copied {
            return Ok(());
        }
        self.records.increment(1);
        let dir = self.dir.display();
        match &copied {
            Ok(_) => tracing::error!(
                %file, offset, length,
                "the journal is damaged; what is whole around it is kept, a copy of the damaged bytes is in {dir}"
            ),
            Err(error) => {
                tracing::error!(
                    %file, offset, length, %error,
                    "the journal is damaged, and no copy of the damaged bytes could be made in {dir}"
                );
                let what = format!("{file}: {length} bytes from byte {offset} on can't be read");
                self.active.lock().insert(name(segment, gap, BYTES), what);
            }
        }
        self.list();
        copied.map(drop)
    }

    /// The same of bytes that are set right in their place.
    pub(crate) fn keep_bytes(&self, segment: &Segment, offset: u64, bytes: &[u8]) {
        let to = offset + bytes.len() as u64;
        let gap = Gap { from: offset, to, ending: None, mended: None };
        // Where there is no copy, nothing is lost by it.
        let _ = self.keep(segment, gap, bytes);
    }

    /// Writes the head of a record anew, one bit of which had flipped. A copy of
    /// the head as it was is kept, and it is told: the disk is not to be trusted.
    pub(crate) fn mend(
        &self,
        disk: &dyn Disk,
        (segment, file): (&Segment, &File),
        (gap, head): (Gap, Head),
    ) -> io::Result<()> {
        let mut before = [0; HEAD];
        file.read_exact_at(&mut before, gap.from)?;
        self.keep(segment, gap, &before)?;
        disk.write_at(&segment.path, file, &head.bytes(), gap.from)?;
        disk.sync(&segment.path, file)?;
        let (file, offset) = (segment.path.display(), gap.from);
        tracing::warn!(%file, offset, "one bit of a record's head had flipped: it is set right");
        Ok(())
    }

    /// A copy of what is about to be cut off a segment's end.
    pub(crate) fn keep_torn(&self, segment: &Segment, gap: Gap, bytes: &[u8]) -> io::Result<()> {
        let bytes = written(gap, bytes);
        let kept = self.write(&name(segment, gap, TORN_END), bytes).map(drop);
        let (file, offset, length) = (segment.path.display(), gap.from, bytes.len());
        self.torn.increment(1);
        tracing::warn!(%file, offset, length, "cutting off a torn end: a write that never ended and was not answered");
        self.drop_old();
        kept
    }

    /// A note about what is lost.
    pub(crate) fn note(&self, name: &str, what: &str) {
        tracing::error!("{what}");
        if let Err(error) = self.write(&format!("{name}.{NOTE}"), format!("{what}\n").as_bytes()) {
            tracing::error!(%error, "and no note of it could be left in {}", self.dir.display());
            self.active.lock().insert(name.to_owned(), what.to_owned());
        }
        self.list();
    }

    /// Something that is wrong until it is `well`; it is logged when it begins
    /// and when it changes.
    pub(crate) fn raise(&self, about: &str, what: &str) {
        let before = self.active.lock().insert(about.to_owned(), what.to_owned());
        if before.as_deref() != Some(what) {
            tracing::error!("{what}");
            self.list();
        }
    }

    pub(crate) fn clear(&self, about: &str) {
        let before = self.active.lock().remove(about);
        if before.is_some() {
            tracing::info!("{about}: well again");
            self.list();
        }
    }

    /// All that is wrong; the gauge follows.
    pub(crate) fn list(&self) -> Vec<Fault> {
        let mut faults = list(&self.dir);
        let active = self.active.lock().clone();
        faults.extend(active.into_iter().map(|(subject, what)| Fault { subject, what }));
        self.places.set(faults.len() as f64);
        faults
    }

    /// False where the file is there already.
    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        let path = self.dir.join(name);
        if path.exists() {
            return Ok(false);
        }
        if !self.dir.is_dir() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
            if let Some(data) = self.dir.parent() {
                File::open(data)?.sync_all()?;
            }
        }
        // What is half written must not pass for the copy.
        let part = self.dir.join(format!("{name}.part"));
        let mut options = fs::OpenOptions::new();
        let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&part);
        let written = opened.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&part, &path)?;
            File::open(&self.dir)?.sync_all()
        });
        if written.is_err() {
            // Its error says more than this one would.
            let _ = fs::remove_file(&part);
        }
        written.map(|()| true)
    }

    fn drop_old(&self) {
        let mut torn: VecDeque<_> = files(&self.dir)
            .filter(|path| path.extension().is_some_and(|kind| kind == TORN_END))
            .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
            .collect();
        torn.make_contiguous().sort();
        while torn.len() > TORN
            && let Some((_, path)) = torn.pop_front()
        {
            let _ = fs::remove_file(path);
        }
    }
}

/// Without the zeros of the room that the writer had reserved behind it, which
/// would fill the disk and pass for damage.
fn written(gap: Gap, bytes: &[u8]) -> &[u8] {
    let last = gap.ending.and_then(|_| bytes.iter().rposition(|byte| *byte != 0));
    last.map_or(bytes, |last| &bytes[..=last])
}

fn name(segment: &Segment, gap: Gap, kind: &str) -> String {
    let stem = segment.path.file_stem().unwrap_or_default().to_string_lossy();
    format!("{stem}-{}.{kind}", gap.from)
}

fn files(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path()))
}

/// What a data directory's folder of damage holds. Torn ends are left out: they
/// are no loss.
pub(crate) fn list(dir: &Path) -> Vec<Fault> {
    let mut faults: Vec<Fault> = files(dir).filter_map(|path| fault(&path)).collect();
    faults.sort_by(|one, other| one.subject.cmp(&other.subject));
    faults
}

fn fault(path: &Path) -> Option<Fault> {
    let name = path.file_name()?.to_str()?.to_owned();
    let what = match path.extension()?.to_str()? {
        NOTE => fs::read_to_string(path).ok()?.trim().to_owned(),
        BYTES => {
            let (stem, offset) = path.file_stem()?.to_str()?.rsplit_once('-')?;
            let length = path.metadata().ok()?.len();
            format!(
                "journal/{stem}.journal: {length} bytes from byte {offset} on can't be read; a copy is damaged/{name}"
            )
        }
        _ => return None,
    };
    Some(Fault { subject: name, what })
}
