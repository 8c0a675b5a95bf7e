//! Looking at a store from outside, also while a host has it open: what `hookwright doctor` asks. Changes nothing.
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::index::schema;
use crate::journal::damage;
use hookwright_store::Fault;

/// What of the store in a data directory is damaged or lost and was not looked at yet, as a running host tells it.
/// Reads a small folder; one that is absent holds nothing.
pub fn faults_in(data: &Path) -> Vec<Fault> {
    damage::list(&damage::folder(data))
}

/// What became of a look at the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexCheck {
    /// There is none: the host makes it at its first start.
    Absent,
    /// SQLite found nothing wrong.
    Fine,
    /// SQLite's first complaint.
    Damaged(String),
    /// It could not be looked at, or not within the time.
    Unknown(String),
}

/// SQLite's `quick_check` of the index: pages, order and counts, not each value.
///
/// Reads the whole file, and gives up after `timeout`; blocks meanwhile. Opens it read-only, so a host that runs is not
/// disturbed.
pub fn check_index(data: &Path, timeout: Duration) -> IndexCheck {
    let file = schema::file(data);
    if !file.exists() {
        return IndexCheck::Absent;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match Connection::open_with_flags(&file, flags) {
        Ok(conn) => conn,
        Err(error) => return IndexCheck::Unknown(error.to_string()),
    };
    let handle = conn.get_interrupt_handle();
    let (done, waits) = channel::<()>();
    let watch = std::thread::spawn(move || {
        if let Err(RecvTimeoutError::Timeout) = waits.recv_timeout(timeout) {
            handle.interrupt();
        }
    });
    let checked = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    // It only waits; the check is what tells.
    let _ = watch.join();
    match checked {
        Ok(text) if text == "ok" => IndexCheck::Fine,
        Ok(text) => IndexCheck::Damaged(text),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                IndexCheck::Damaged(error.to_string())
            }
            Some(ErrorCode::OperationInterrupted) => {
                IndexCheck::Unknown(format!("the check takes more than {} s", timeout.as_secs()))
            }
            _ => IndexCheck::Unknown(error.to_string()),
        },
    }
}
