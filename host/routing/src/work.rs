//! Which events of a source are in work: a bounded set, and what is known of the rows behind it. Pure.
use std::collections::{HashSet, VecDeque};

use super::pipeline::Job;
use hookwright_model::Event;

/// Events in work at once, of one source.
const WINDOW: usize = 1_024;
/// Bytes of bodies in work at once, of one source.
const WINDOW_BYTES: usize = 16 << 20;

#[derive(Default)]
pub(super) struct Work {
    /// Rows of the events in work.
    pub(super) rows: HashSet<i64>,
    pub(super) bytes: usize,
    /// Some events were left to the rows.
    pub(super) behind: bool,
    /// The newest event whose row was read: a hand-off that comes after that is
    /// old news.
    pub(super) read_to: i64,
    /// While the rows are read: those that left meanwhile. Their rows may still
    /// look as they did before.
    pub(super) left: Option<HashSet<i64>>,
    /// Rows are being read, page by page.
    pub(super) reading: bool,
    /// In a pipeline that works in turn: those that wait for theirs.
    pub(super) turns: VecDeque<Job>,
    /// Somebody works on the turns.
    pub(super) turning: bool,
}

impl Work {
    /// As `offer`, but takes none while earlier ones are left to the rows.
    pub(super) fn offer_in_turn(&mut self, event: &Event) -> bool {
        self.behind |= self.reading;
        !self.behind && self.offer(event)
    }

    /// Takes an event that was just made durable, unless the window is full.
    /// While rows wait, half of it is theirs.
    pub(super) fn offer(&mut self, event: &Event) -> bool {
        if event.id.row() <= self.read_to {
            self.behind = true;
            return false;
        }
        let places = if self.behind { WINDOW / 2 } else { WINDOW };
        let fits = self.rows.len() < places && self.bytes + event.body.len() <= WINDOW_BYTES;
        // One that is larger than the window goes through alone.
        let fits = fits || self.rows.is_empty();
        self.behind |= !fits;
        fits && self.take(event)
    }

    /// False where it is in work already, or was until a moment ago.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        let row = event.id.row();
        let just_left = self.left.as_ref().is_some_and(|left| left.contains(&row));
        let new = !just_left && self.rows.insert(row);
        if new {
            self.bytes += event.body.len();
        }
        new
    }

    pub(super) fn leave(&mut self, event: &Event) {
        let row = event.id.row();
        if self.rows.remove(&row) {
            self.bytes -= event.body.len();
        }
        if let Some(left) = &mut self.left {
            left.insert(row);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.rows.len() <= WINDOW / 2 && self.bytes <= WINDOW_BYTES / 2
    }

    pub(super) fn wants_rows(&self) -> bool {
        self.behind && self.has_room()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_model::EventId;

    fn event(row: i64, size: usize) -> Event {
        Event {
            id: EventId::new(row, 7),
            received_ms: 0,
            source: "shop".parse().unwrap(),
            kind: "".into(),
            headers: http::HeaderMap::new(),
            body: vec![b'x'; size].into(),
        }
    }

    #[test]
    fn regression_a_hand_off_that_comes_after_its_row_was_read_is_left_to_the_rows() {
        let mut work = Work::default();
        let first = event(1, 10);
        work.read_to = 1;
        assert!(work.take(&first));
        work.leave(&first);
        assert!(!work.offer(&first), "it was routed from its row already");
        assert!(work.behind, "the rows are looked at once more");
        assert!(work.offer(&event(2, 10)));
    }

    #[test]
    fn in_turn_nothing_is_taken_while_earlier_ones_are_in_the_rows() {
        let mut work = Work { reading: true, ..Work::default() };
        assert!(!work.offer_in_turn(&event(1, 10)));
        assert!(work.behind);
        work.reading = false;
        assert!(!work.offer_in_turn(&event(2, 10)), "the first is still in its row");
        work.behind = false;
        assert!(work.offer_in_turn(&event(3, 10)));
    }

    #[test]
    fn what_leaves_while_rows_are_read_is_not_taken_from_them() {
        let mut work = Work::default();
        let first = event(1, 10);
        assert!(work.offer(&first));
        work.left = Some(HashSet::new());
        work.leave(&first);
        assert!(!work.take(&first));
        work.left = None;
        assert!(work.take(&first));
        assert_eq!(work.bytes, 10);
    }

    #[test]
    fn the_window_is_bounded_by_count_and_by_size_and_half_is_for_the_rows() {
        let mut work = Work::default();
        for row in 0..WINDOW as i64 {
            assert!(work.offer(&event(row + 1, 1)));
        }
        assert!(!work.offer(&event(5_000, 1)) && work.behind);
        let mut work = Work { behind: true, ..Work::default() };
        let taken = (0..WINDOW as i64).filter(|row| work.offer(&event(row + 1, 1))).count();
        assert_eq!(taken, WINDOW / 2);
        let mut work = Work::default();
        assert!(work.offer(&event(1, WINDOW_BYTES + 1)), "a large one goes alone");
        assert!(!work.offer(&event(2, 1)));
    }
}
