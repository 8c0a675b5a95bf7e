//! Deduplication keys are looked up in the index on a thread of their own, so that the journal's waits for no database.
//!
//! An event with a key passes here first, and carries on what the index said, and
//! up to which row it had all rows then. Keys of later rows the journal's thread
//! remembers itself (see `dedupe`). What has no key goes straight to it.
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, OptionalExtension, Statement, params};

use super::queue::{Known, Queue};
use crate::index;
use crate::index::schema;
use crate::vitals::Vitals;
use hookwright_model::Name;

/// What the thread needs from the rest.
pub(crate) struct Context {
    pub(crate) dir: PathBuf,
    pub(crate) queue: Arc<Queue>,
    pub(crate) index: Arc<index::queue::Queue>,
    pub(crate) vitals: Arc<Vitals>,
}

pub(crate) fn start(context: Context) -> rusqlite::Result<JoinHandle<()>> {
    let (began, begun) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("store-dedupe".into())
        .spawn(move || run(&context, &began))
        .expect("the system starts a thread");
    match begun.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(rusqlite::Error::InvalidQuery),
    }
}

fn run(context: &Context, began: &SyncSender<rusqlite::Result<()>>) {
    let conn = match schema::open_reader(&context.dir) {
        Ok(conn) => conn,
        Err(error) => return drop(began.send(Err(error))),
    };
    let mut lookup = match Lookup::new(&conn) {
        Ok(lookup) => lookup,
        Err(error) => return drop(began.send(Err(error))),
    };
    let _ = began.send(Ok(()));
    let _guard = Guard(&context.queue);
    let _alive = context.vitals.alive("store-dedupe");
    while let Some(mut keyed) = context.queue.take_keyed() {
        // Read before any look-up: a key of a row up to here is in what they see.
        let indexed = context.index.indexed_row();
        for one in &mut keyed {
            let Some((source, key)) = one.key() else { continue };
            one.known = match lookup.find(source, key) {
                Ok(first) => Ok(Known { first, indexed }),
                Err(error) => {
                    tracing::error!(%error, "a deduplication key could not be looked up");
                    Err(error.to_string().into())
                }
            };
        }
        lookup.release();
        context.queue.looked_up(keyed);
    }
}

/// A panic must not leave anyone waiting for ever.
struct Guard<'q>(&'q Queue);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
    }
}

struct Lookup<'c> {
    conn: &'c Connection,
    find: Statement<'c>,
    reading: bool,
}

impl<'c> Lookup<'c> {
    fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        let find = conn.prepare(
            "SELECT event, expires FROM dedupe
             WHERE source = (SELECT id FROM name WHERE text = ?1) AND key = ?2",
        )?;
        Ok(Self { conn, find, reading: false })
    }

    /// The row of the first event with the key, and when its window ends.
    fn find(&mut self, source: &Name, key: &[u8; 16]) -> rusqlite::Result<Option<(i64, u64)>> {
        if !self.reading {
            // One view of the index for the whole batch; look-ups in it are cheap.
            self.conn.execute_batch("BEGIN")?;
            self.reading = true;
        }
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64));
        self.find.query_row(params![source.as_str(), &key[..]], row).optional()
    }

    fn release(&mut self) {
        if std::mem::take(&mut self.reading)
            && let Err(error) = self.conn.execute_batch("COMMIT")
        {
            tracing::warn!(%error, "the look-up of keys did not end; taking it back");
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }
}
