//! A delivery's row, and the delivery that it makes together with its records in the journal.
use std::sync::Arc;

use rusqlite::Row;

use super::columns::{locator, payload_locator};
use crate::error::ReadError;
use crate::journal::locator::Locator;
use crate::journal::segments::Segments;
use hookwright_model::{Delivery, Name};

/// A delivery as its row has it; the contents are still in the journal.
///
/// Made by the reads that claim due deliveries, and by the index thread where a delivery's turn has come.
pub(crate) struct StoredDelivery {
    /// The event's row.
    pub(crate) row: i64,
    event: Locator,
    payload: Option<Locator>,
    /// Milliseconds since 1970.
    pub(crate) due_ms: u64,
    order_key: Option<Box<str>>,
    tries: u32,
    attempts: u32,
    replayed: bool,
}

impl StoredDelivery {
    /// Reads twelve columns: the event's row and locator, the payload's locator, then due time, order key, tries,
    /// attempts, and whether a person asked for it.
    pub(crate) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(0)?,
            event: locator(row, 1)?,
            payload: payload_locator(row, 4)?,
            due_ms: row.get::<_, i64>(7)? as u64,
            order_key: row.get::<_, Option<String>>(8)?.map(Into::into),
            tries: row.get(9)?,
            attempts: row.get(10)?,
            replayed: row.get(11)?,
        })
    }

    /// Fetches the contents from the journal.
    ///
    /// # Errors
    /// Where the event's record or the payload's can't be read.
    pub(crate) fn delivery(
        &self,
        segments: &Segments,
        destination: &Name,
    ) -> Result<Delivery, ReadError> {
        let payload = self.payload.map(|at| segments.payload(self.row, at)).transpose()?;
        Ok(Delivery {
            event: Arc::new(segments.event(self.row, self.event)?),
            destination: destination.clone(),
            payload: payload.map(Arc::new),
            due_ms: self.due_ms,
            order_key: self.order_key.clone(),
            tries: self.tries,
            attempts: self.attempts,
            replayed: self.replayed,
        })
    }
}
