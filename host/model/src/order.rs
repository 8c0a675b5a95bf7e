//! Which deliveries of a destination keep the order of their events.

/// Which deliveries are made one after the other, in the order in which their events were accepted.
///
/// `order` of a destination; routing gives the deliveries their ordering keys by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// All deliveries of one source.
    Source,
    /// The deliveries of one source that have the same order key.
    Key,
}
