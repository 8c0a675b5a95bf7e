//! Where things are in the journal.

/// Where a record is. Rows of the index have one; the journal's readers take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Locator {
    /// The segment's number.
    pub(crate) segment: u32,
    /// Where the record starts, in bytes.
    pub(crate) offset: u64,
    /// Its length in bytes, with its head.
    pub(crate) length: u32,
}

impl Locator {
    pub(crate) fn end(&self) -> Position {
        Position { segment: self.segment, offset: self.offset + u64::from(self.length) }
    }

    pub(crate) fn start(&self) -> Position {
        Position { segment: self.segment, offset: self.offset }
    }
}

/// A place between two records of the journal, in the order in which it was written.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
}
