//! Columns of the index as values of the engine: where a record is, and what state a delivery is in.
use rusqlite::Row;

use super::schema::BEHIND;
use crate::journal::locator::Locator;
use hookwright_model::DeliveryState;

/// Where a record is, from the three columns that begin with `first`: segment, offset, length.
pub(crate) fn locator(row: &Row<'_>, first: usize) -> rusqlite::Result<Locator> {
    Ok(Locator {
        segment: row.get(first)?,
        offset: row.get::<_, i64>(first + 1)? as u64,
        length: row.get(first + 2)?,
    })
}

/// The same of a delivery's payload; none where the delivery sends the event as it came.
pub(crate) fn payload_locator(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Locator>> {
    let Some(segment) = row.get(first)? else { return Ok(None) };
    let offset = row.get::<_, i64>(first + 1)? as u64;
    Ok(Some(Locator { segment, offset, length: row.get(first + 2)? }))
}

/// A delivery's state from its number in the index. One that waits behind another one of its order key waits too.
///
/// # Errors
/// `IntegralValueOutOfRange` for a number that stands for no state.
pub(crate) fn delivery_state(number: i64) -> rusqlite::Result<DeliveryState> {
    if number == BEHIND {
        return Ok(DeliveryState::Waiting);
    }
    usize::try_from(number)
        .ok()
        .and_then(|number| DeliveryState::ALL.get(number).copied())
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(0, number))
}
