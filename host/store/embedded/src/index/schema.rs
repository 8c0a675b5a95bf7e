//! The index's tables, and how its connections are set up.
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, params};

use crate::error::OpenError;
use crate::journal::locator::Position;

/// Of the index: the tables are changed by a further step, never in place.
pub(crate) const FORMAT: u32 = STEPS.len() as u32;

/// What makes each format of the one before it.
const STEPS: &[&str] = &[TABLES, CONDITIONS, ORDER, REPLAYS, TIMES, LOST_INDEX, ASIDE];

/// The state of a delivery that waits for an earlier one of its order key. The
/// others follow `DeliveryState::ALL`.
pub(crate) const BEHIND: i64 = 3;

/// `state` numbers follow `EventState::ALL` and `DeliveryState::ALL`.
///
/// `event.segment/offset/length` say where the event's record is, the `pay_`
/// columns the same of a delivery's payload. A delivery's first attempt is
/// kept in its row, since most have no other; the rest are in `attempt`.
/// `standing` is one row: up to where the journal is indexed, and the number of events.
const TABLES: &str = "
CREATE TABLE standing(
  id INTEGER PRIMARY KEY, node INTEGER NOT NULL, segment INTEGER NOT NULL,
  offset INTEGER NOT NULL, events INTEGER NOT NULL);
CREATE TABLE name(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE destination(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE, disabled TEXT);
CREATE TABLE event(
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL, kind INTEGER NOT NULL,
  segment INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL,
  body INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT, rulings BLOB,
  due INTEGER NOT NULL, tries INTEGER NOT NULL, replays INTEGER NOT NULL);
CREATE INDEX event_accepted ON event(source, due, id) WHERE state = 0;
CREATE INDEX event_ended ON event(state) WHERE state > 1;
CREATE TABLE delivery(
  event INTEGER NOT NULL, dest INTEGER NOT NULL, state INTEGER NOT NULL,
  due INTEGER NOT NULL, tries INTEGER NOT NULL, attempts INTEGER NOT NULL,
  cause TEXT, order_key TEXT, pay_segment INTEGER, pay_offset INTEGER, pay_length INTEGER,
  first BLOB, PRIMARY KEY(event, dest)) WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery(dest, due, event) WHERE state = 0;
CREATE INDEX delivery_dead ON delivery(event, dest) WHERE state = 2;
CREATE TABLE attempt(
  event INTEGER NOT NULL, dest INTEGER NOT NULL, n INTEGER NOT NULL, data BLOB NOT NULL,
  PRIMARY KEY(event, dest, n)) WITHOUT ROWID;
CREATE TABLE dedupe(
  source INTEGER NOT NULL, key BLOB NOT NULL, event INTEGER NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY(source, key)) WITHOUT ROWID;
CREATE INDEX dedupe_expires ON dedupe(expires);
CREATE TABLE state(
  plugin INTEGER NOT NULL, key TEXT NOT NULL, number INTEGER, bytes BLOB, expires INTEGER,
  PRIMARY KEY(plugin, key)) WITHOUT ROWID;
CREATE INDEX state_expires ON state(expires) WHERE expires IS NOT NULL;
";

/// Until when a destination is paused, and since when it fails.
const CONDITIONS: &str = "
ALTER TABLE destination ADD COLUMN paused INTEGER;
ALTER TABLE destination ADD COLUMN failing INTEGER;
";

/// One delivery of each order key is due (state 0), the rest is behind it.
const ORDER: &str = "
CREATE INDEX delivery_head ON delivery(dest, order_key)
  WHERE state = 0 AND order_key IS NOT NULL;
CREATE INDEX delivery_behind ON delivery(dest, order_key, event) WHERE state = 3;
";

/// `state` follows `ReplayState::ALL`.
const REPLAYS: &str = "
CREATE TABLE replay(
  id INTEGER PRIMARY KEY, created INTEGER NOT NULL, wanted TEXT NOT NULL, state INTEGER NOT NULL,
  after INTEGER, looked INTEGER NOT NULL, replayed INTEGER NOT NULL);
";

/// When an event was accepted, where its row key does not say it: order and time
/// are two things once the clock has been ahead. Never later than the row key's.
/// Beside it which deliveries a person asked for.
const TIMES: &str = "
ALTER TABLE event ADD COLUMN received INTEGER;
ALTER TABLE delivery ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX event_received ON event(received) WHERE received IS NOT NULL;
";

/// When the event `e` was accepted, milliseconds since 1970.
pub(crate) const TIME: &str = "ifnull(e.received, e.id >> 16)";

/// Up to where in the journal events without a row are of an unknown lot: the
/// index that had their rows is lost. Zero where none is.
const LOST_INDEX: &str = "
ALTER TABLE standing ADD COLUMN held_segment INTEGER NOT NULL DEFAULT 0;
ALTER TABLE standing ADD COLUMN held_offset INTEGER NOT NULL DEFAULT 0;
";

/// Events that have no row, since SQLite refused each that they could have: where
/// their records are, and why.
const ASIDE: &str = "
CREATE TABLE aside(
  event INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL,
  length INTEGER NOT NULL, reason TEXT NOT NULL);
";

/// The index's file in the data directory.
pub(crate) fn file(dir: &Path) -> PathBuf {
    dir.join("index.db")
}

/// The write-ahead log beside it.
pub(crate) fn wal_file(dir: &Path) -> PathBuf {
    dir.join("index.db-wal")
}

/// The one connection that writes; makes the tables where there are none.
/// Its node is `journal_node` where the journal has one. A new index beside a
/// journal that ends at `journal_end` stands for one that was lost.
pub(crate) fn open_writer(
    dir: &Path,
    journal_node: Option<u64>,
    journal_end: Option<Position>,
) -> Result<(Connection, u64), OpenError> {
    let path = file(dir);
    make_private(&path)?;
    let failed = OpenError::index(&path);
    let conn = Connection::open_with_flags(&path, flags(OpenFlags::SQLITE_OPEN_READ_WRITE))
        .map_err(&failed)?;
    conn.busy_timeout(Duration::from_secs(10)).map_err(&failed)?;
    // NORMAL: commits are not synced. What that can lose after a power loss is
    // in the journal, or is work that is done once more.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
         PRAGMA cache_size = -16384; PRAGMA journal_size_limit = 67108864;
         PRAGMA temp_store = MEMORY;",
    )
    .map_err(&failed)?;
    let found: u32 =
        conn.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&failed)?;
    if found > FORMAT {
        return Err(OpenError::Newer { file: path, found, known: FORMAT });
    }
    if found < FORMAT {
        let steps = STEPS[found as usize..].concat();
        let begin = match found {
            0 => {
                let node =
                    journal_node.unwrap_or_else(hookwright_model::clock::random_u64).cast_signed();
                let held = journal_end.unwrap_or_default();
                let Position { segment, offset } = held;
                format!("INSERT INTO standing VALUES(1, {node}, 0, 0, 0, {segment}, {offset});")
            }
            _ => String::new(),
        };
        let set_up = format!("BEGIN; {steps} {begin} PRAGMA user_version = {FORMAT}; COMMIT;");
        conn.execute_batch(&set_up).map_err(&failed)?;
        // Commits are not synced, but this one must outlive a power loss: without
        // it the events of the first minutes would be taken for those of an index
        // that was lost.
        let copy = "PRAGMA wal_checkpoint(TRUNCATE)";
        conn.query_row(copy, [], |_| Ok(())).map_err(&failed)?;
    }
    let node: i64 =
        conn.query_row("SELECT node FROM standing", [], |row| row.get(0)).map_err(&failed)?;
    Ok((conn, node.cast_unsigned()))
}

/// Events before, where they have no row, are of an unknown lot from now on.
pub(crate) fn set_unknown_before(conn: &Connection, before: Position) -> rusqlite::Result<()> {
    let set = "UPDATE standing SET held_segment = ?1, held_offset = ?2";
    conn.execute(set, params![before.segment, before.offset as i64]).map(drop)
}

/// A connection for reading only.
pub(crate) fn open_reader(dir: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(file(dir), flags(OpenFlags::SQLITE_OPEN_READ_WRITE))?;
    conn.busy_timeout(Duration::from_secs(10))?;
    conn.execute_batch(
        "PRAGMA query_only = ON; PRAGMA cache_size = -4096; PRAGMA wal_autocheckpoint = 0;
         PRAGMA temp_store = MEMORY;",
    )?;
    Ok(conn)
}

fn flags(mode: OpenFlags) -> OpenFlags {
    // Each connection stays with one thread at a time.
    mode | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_PRIVATE_CACHE
}

/// SQLite gives its log the mode of the database, so this one decides for all.
fn make_private(path: &Path) -> Result<(), OpenError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path);
    opened.map(drop).map_err(OpenError::io(path))
}
