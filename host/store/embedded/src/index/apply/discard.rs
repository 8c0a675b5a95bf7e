//! Deliveries that wait for a destination and are given up by a person.
use rusqlite::{Connection, params};

use crate::index::counts::Delta;
use hookwright_model::DeliveryState;

/// Ends at most `most` of a destination's waiting deliveries as dead; answers how many.
///
/// Those behind another one of their order key go first, so that none is left behind one that has ended.
pub(super) fn waiting(
    conn: &Connection,
    dest: i64,
    cause: &str,
    most: usize,
    delta: &mut Delta,
) -> rusqlite::Result<u64> {
    let mut ended = 0;
    // Written out: a partial index is not used for a state that comes as a parameter.
    for waiting in [
        "SELECT event FROM delivery INDEXED BY delivery_behind WHERE dest = ?1 AND state = 3",
        "SELECT event FROM delivery INDEXED BY delivery_due WHERE dest = ?1 AND state = 0",
    ] {
        let end = format!(
            "UPDATE delivery SET state = 2, cause = ?2
             WHERE dest = ?1 AND event IN ({waiting} LIMIT ?3)"
        );
        let left = i64::try_from(most.saturating_sub(ended)).unwrap_or(i64::MAX);
        ended += conn.execute(&end, params![dest, cause, left])?;
    }
    for _ in 0..ended {
        delta.moved(dest, Some(DeliveryState::Waiting), Some(DeliveryState::Dead));
    }
    Ok(ended as u64)
}
