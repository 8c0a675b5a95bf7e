//! A position in the order of what waits, and how callers carry it.
use hookwright_store::{Cursor, StoreError};

/// A position in the order of (due, event) of one source's events to be routed
/// or one destination's waiting deliveries: after this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DueCursor {
    pub(super) due_ms: u64,
    pub(super) row: i64,
}

impl From<DueCursor> for Cursor {
    fn from(at: DueCursor) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&at.due_ms.to_be_bytes());
        bytes[8..].copy_from_slice(&at.row.to_be_bytes());
        Self::new(bytes)
    }
}

impl TryFrom<&Cursor> for DueCursor {
    type Error = StoreError;

    fn try_from(cursor: &Cursor) -> Result<Self, StoreError> {
        let parts = cursor.as_bytes().split_first_chunk::<8>();
        let parts = parts.and_then(|(due, row)| Some((due, row.try_into().ok()?)));
        let Some((due, row)) = parts else {
            return Err(StoreError::Failed("a cursor that another store made".into()));
        };
        Ok(Self { due_ms: u64::from_be_bytes(*due), row: i64::from_be_bytes(row) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was_and_a_foreign_one_is_refused() {
        let at = DueCursor { due_ms: 1_700_000_000_123, row: -5 };
        assert_eq!(DueCursor::try_from(&Cursor::from(at)).unwrap(), at);
        for foreign in [&b""[..], b"12345678", b"12345678123456789"] {
            assert!(DueCursor::try_from(&Cursor::new(foreign)).is_err());
        }
    }
}
