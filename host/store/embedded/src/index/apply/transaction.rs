//! The transactions of the index's one writing connection.
use rusqlite::{Connection, Statement, params};

use crate::error::is_of_content;
use crate::journal::locator::Position;

/// Begins and ends transactions, and stores the checkpoint with each: up to where the journal is indexed.
///
/// The applier opens one for each batch of work.
pub(super) struct Transaction<'c> {
    conn: &'c Connection,
    begin: Statement<'c>,
    commit: Statement<'c>,
    checkpoint: Statement<'c>,
}

impl<'c> Transaction<'c> {
    pub(super) fn new(conn: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            conn,
            begin: conn.prepare("BEGIN IMMEDIATE")?,
            commit: conn.prepare("COMMIT")?,
            checkpoint: conn
                .prepare("UPDATE standing SET segment = ?1, offset = ?2, events = ?3")?,
        })
    }

    pub(super) fn begin(&mut self) -> rusqlite::Result<()> {
        self.begin.execute([]).map(drop)
    }

    /// Commits, with the journal's position and the number of events in the index.
    pub(super) fn commit(&mut self, position: Position, events: i64) -> rusqlite::Result<()> {
        let Position { segment, offset } = position;
        self.checkpoint.execute(params![segment, offset as i64, events])?;
        self.commit.execute([]).map(drop)
    }

    /// Takes back what a failed transaction did.
    pub(super) fn roll_back(&self) {
        if !self.conn.is_autocommit() && self.conn.execute_batch("ROLLBACK").is_err() {
            tracing::warn!("SQLite had rolled back by itself");
        }
    }

    pub(super) fn set_savepoint(&self) -> rusqlite::Result<()> {
        self.conn.execute_batch("SAVEPOINT piece")
    }

    /// Ends the savepoint. Where its work was refused for its content, the work is taken back and the refusal is the
    /// inner error; any other error concerns the whole transaction.
    pub(super) fn end_savepoint(
        &self,
        outcome: rusqlite::Result<()>,
    ) -> rusqlite::Result<rusqlite::Result<()>> {
        match outcome {
            Ok(()) => {
                self.conn.execute_batch("RELEASE piece")?;
                Ok(Ok(()))
            }
            Err(error) if is_of_content(&error) => {
                self.conn.execute_batch("ROLLBACK TO piece; RELEASE piece")?;
                Ok(Err(error))
            }
            Err(error) => Err(error),
        }
    }
}
