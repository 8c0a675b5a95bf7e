//! Opening and closing: the parts put together, and taken down in order.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::engine::Embedded;
use super::error::OpenError;
use super::face::Face;
use super::space;
use super::threads::Threads;
use super::unrecorded::Unrecorded;
use super::vitals::Vitals;
use crate::index::counts::Counts;
use crate::index::wal::{self, WalCheckpoints};
use crate::index::{self, schema};
use crate::journal::damage::Damage;
use crate::journal::disk::{Disk, OsDisk};
use crate::queries::query::Readers;
use crate::recovery::{self, lock};
use crate::writer::{self, lookup};
use hookwright_model::clock::{Clock, millis};
use hookwright_store::{Handoff, Room, Store};

/// How the store is set up. The wiring sets what the settings name (segments, queue, linger, reserve) and leaves the
/// rest at its default; tests change sizes and times.
#[derive(Clone)]
pub struct Options {
    /// The data directory; made, with mode 0700, where there is none.
    pub dir: PathBuf,
    /// A journal segment ends at this size. Retention drops whole segments.
    /// Default 64 MiB.
    pub segment_bytes: u64,
    /// And at this age. Default one hour.
    pub segment_age: Duration,
    /// What may wait to be written to the journal, in bytes; over it `Busy`.
    /// The same again may wait for the index. Default 32 MiB.
    pub queue_bytes: usize,
    /// And in events. Default 65,536.
    pub queue_records: usize,
    /// So long the journal waits for more to commit together. Default none:
    /// what comes during one sync is committed by the next.
    pub linger: Duration,
    /// Bytes that must stay free on the disk; with less, new events are refused
    /// as `Full` and all else goes on. Default 256 MiB; 0 switches it off.
    pub reserve_bytes: u64,
    /// From one look at the free bytes to the next. Default one second.
    pub look: Duration,
    /// So long an event's rows wait for the outcome of its routing and of its
    /// deliveries. Default 50 ms.
    pub hold: Duration,
    /// From one commit that is made for a reader to the next; who reads in
    /// between waits until rows are committed by themselves. Default 100 ms.
    pub read_spacing: Duration,
    /// Where the times of events, keys and state come from. Tests set a manual one.
    pub clock: Clock,
    pub(crate) disk: Arc<dyn Disk>,
}

impl Options {
    /// The defaults, for this data directory.
    pub fn new(dir: impl Into<PathBuf>, clock: Clock) -> Self {
        Self {
            dir: dir.into(),
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(3_600),
            queue_bytes: 32 << 20,
            queue_records: 65_536,
            linger: Duration::ZERO,
            reserve_bytes: 256 << 20,
            look: Duration::from_secs(1),
            hold: crate::index::ops::HOLD,
            read_spacing: Duration::from_millis(100),
            clock,
            disk: Arc::new(OsDisk),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Opens the store, makes it where there is none, and recovers what a crash left.
/// What the rows say is waiting is not handed on: whoever routes and delivers reads it.
///
/// # Errors
/// Each with its cure; see [`OpenError`].
pub fn open(options: Options, handoff: Arc<dyn Handoff>) -> Result<Arc<dyn Store>, OpenError> {
    Ok(Arc::new(Face::new(open_embedded(options, handoff)?)))
}

pub(super) fn open_embedded(
    options: Options,
    handoff: Arc<dyn Handoff>,
) -> Result<Embedded, OpenError> {
    let dir = options.dir.clone();
    recovery::pass::make_dirs(&dir)?;
    let lock = lock::take(&dir)?;
    let damage = Arc::new(Damage::open(&dir));
    let recovered = recovery::pass::recover(&dir, &options.disk, &damage)?;
    let failed = OpenError::index(&schema::file(&dir));
    let counts = Arc::new(Counts::default());
    counts.load(&recovered.conn).map_err(&failed)?;
    let checkpoints = Arc::new(WalCheckpoints::default());
    let room = Arc::<Room>::default();
    let unrecorded = Arc::<Unrecorded>::default();
    let index = Arc::new(index::queue::Queue::new(recovered.last_row, Arc::clone(&room)));
    let (bytes, records) = (options.queue_bytes, options.queue_records);
    let queue = Arc::new(writer::queue::Queue::new(bytes, records, Arc::clone(&room)));
    let segments = recovered.segments;
    let copying = wal::start(&dir, Arc::clone(&checkpoints)).map_err(&failed)?;
    let disk = Arc::clone(&options.disk);
    let (space, looker) = space::start(disk, dir.clone(), options.reserve_bytes, options.look);
    let vitals = Vitals::new();
    let mut store = Embedded {
        dir: dir.clone(),
        clock: options.clock.clone(),
        queue: Arc::clone(&queue),
        index: Arc::clone(&index),
        checkpoints: Arc::clone(&checkpoints),
        segments: Arc::clone(&segments),
        counts: Arc::clone(&counts),
        handoff: parking_lot::RwLock::new(Some(Arc::clone(&handoff))),
        readers: Readers::new(&dir),
        space,
        damage: Arc::clone(&damage),
        room,
        read_spacing: options.read_spacing,
        forced: parking_lot::Mutex::new(None),
        vitals: Arc::clone(&vitals),
        unrecorded: Arc::clone(&unrecorded),
        most_behind: options.queue_bytes,
        purging: parking_lot::Mutex::new(()),
        threads: parking_lot::Mutex::new(Threads {
            checkpoints: Some(copying),
            looker: Some(looker),
            ..Threads::default()
        }),
        lock: parking_lot::Mutex::new(Some(lock)),
    };
    let indexing = index::thread::start(
        recovered.conn,
        index::thread::Context {
            links: index::commit::Links {
                queue: Arc::clone(&index),
                counts,
                segments: Arc::clone(&segments),
                handoff: Arc::clone(&handoff),
                checkpoints,
                clock: options.clock.clone(),
                damage,
                unrecorded: Arc::clone(&unrecorded),
            },
            vitals: Arc::clone(&vitals),
            hold: options.hold,
            position: recovered.position,
            events: recovered.events,
        },
    );
    store.threads.get_mut().index = Some(indexing.map_err(&failed)?);
    let looking = lookup::start(lookup::Context {
        dir,
        queue: Arc::clone(&queue),
        index: Arc::clone(&index),
        vitals: Arc::clone(&vitals),
    });
    store.threads.get_mut().lookup = Some(looking.map_err(&failed)?);
    let writing = writer::thread::start(writer::thread::Context {
        queue,
        index,
        segments,
        disk: options.disk,
        handoff,
        clock: options.clock,
        limits: writer::tail::SegmentLimits {
            bytes: options.segment_bytes,
            age_ms: millis(options.segment_age),
        },
        linger: options.linger,
        last_row: recovered.last_row,
        last_ms: recovered.last_ms,
        sealed: recovered.sealed,
        vitals,
        unrecorded,
    });
    store.threads.get_mut().journal = Some(writing.map_err(&failed)?);
    store.usage_gauge();
    Ok(store)
}
