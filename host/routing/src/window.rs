//! Which events of a source are in flight, by their ids: a bounded window, and what is known of the rows behind it. Pure.
use std::collections::HashSet;

use foldhash::fast::RandomState;

use hookwright_model::Event;

/// Events in flight at once, of one source.
const WINDOW: usize = 1_024;
/// Bytes of bodies in flight at once, of one source.
const WINDOW_BYTES: usize = 16 << 20;

/// Rows of events. Senders do not choose them, so a fast hash is safe.
type Rows = HashSet<i64, RandomState>;

/// The ids of the events in flight. It never holds an event.
#[derive(Default)]
pub(super) struct Window {
    in_flight: Rows,
    bytes: usize,
    /// Whether some events were left in their rows.
    behind: bool,
    /// The row of the newest event that was read: a later hand-off of an older event is
    /// stale.
    read_to: i64,
    /// While rows are read: events that finished meanwhile. Their rows may have been read
    /// in their earlier state.
    left: Option<Rows>,
    /// Whether rows are being read, page by page.
    reading: bool,
}

impl Window {
    /// Takes an event that was just made durable, unless the window is full.
    /// While rows wait, half of the window is reserved for them.
    pub(super) fn offer(&mut self, event: &Event) -> bool {
        if event.id.row() <= self.read_to {
            self.behind = true;
            return false;
        }
        let places = if self.behind { WINDOW / 2 } else { WINDOW };
        let room = self.in_flight.len() < places && self.bytes + event.body.len() <= WINDOW_BYTES;
        // An event that is larger than the window is admitted alone.
        let room = room || self.in_flight.is_empty();
        self.behind |= !room;
        room && self.take(event)
    }

    /// As [`Self::offer`], but takes none while earlier ones are left to the rows.
    pub(super) fn offer_in_turn(&mut self, event: &Event) -> bool {
        self.behind |= self.reading;
        !self.behind && self.offer(event)
    }

    /// Takes an event from its row. False where it is in flight already, or was
    /// until a moment ago.
    pub(super) fn take(&mut self, event: &Event) -> bool {
        let just_left = self.left.as_ref().is_some_and(|left| left.contains(&event.id.row()));
        let new = !just_left && self.in_flight.insert(event.id.row());
        if new {
            self.bytes += event.body.len();
        }
        new
    }

    /// To be called when the event's routing has ended, whatever its outcome.
    pub(super) fn leave(&mut self, event: &Event) {
        if self.in_flight.remove(&event.id.row()) {
            self.bytes -= event.body.len();
        }
        if let Some(left) = &mut self.left {
            left.insert(event.id.row());
        }
    }

    /// Notes that the rows may have events that are not in the window.
    pub(super) fn fall_behind(&mut self) {
        self.behind = true;
    }

    /// Whether a page of rows is to be read and has room.
    pub(super) fn wants_rows(&self) -> bool {
        self.behind && self.has_room()
    }

    /// Begins to read a page of rows: the first one of a poll or, where `more`, one that follows.
    /// False where none is to be read now; `open` says that new work may begin at all.
    pub(super) fn begin_page(&mut self, open: bool, more: bool) -> bool {
        if !open || !self.has_room() || !(self.behind || more) {
            self.behind |= more;
            self.reading = false;
            return false;
        }
        // Before the rows are read: an event left to them from here on sets it
        // again. Only a poll from the front may clear it.
        self.behind &= more;
        self.left = Some(Rows::default());
        self.reading = true;
        true
    }

    /// Events up to this row were read, among those that were never tried.
    pub(super) fn read_to(&mut self, row: i64) {
        self.read_to = self.read_to.max(row);
    }

    /// The page was read and its events were taken; `more` says that another one follows at once.
    pub(super) fn end_page(&mut self, more: bool) {
        self.left = None;
        self.reading = more;
    }

    /// The poll ends before its time, without a page. `behind`: rows are to be read
    /// before any later event is taken.
    pub(super) fn break_off(&mut self, behind: bool) {
        self.left = None;
        self.reading = false;
        self.behind |= behind;
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() <= WINDOW / 2 && self.bytes <= WINDOW_BYTES / 2
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
        let mut window = Window::default();
        let first = event(1, 10);
        window.read_to(1);
        assert!(window.take(&first));
        window.leave(&first);
        assert!(!window.offer(&first), "it was routed from its row already");
        assert!(window.behind, "the rows are polled again");
        assert!(window.offer(&event(2, 10)));
    }

    #[test]
    fn in_turn_nothing_is_taken_while_earlier_ones_are_in_the_rows() {
        let mut window = Window { reading: true, ..Window::default() };
        assert!(!window.offer_in_turn(&event(1, 10)));
        assert!(window.behind);
        window.reading = false;
        assert!(!window.offer_in_turn(&event(2, 10)), "the first is still in its row");
        window.behind = false;
        assert!(window.offer_in_turn(&event(3, 10)));
    }

    #[test]
    fn what_leaves_while_rows_are_read_is_not_taken_from_them() {
        let mut window = Window::default();
        let first = event(1, 10);
        assert!(window.offer(&first));
        window.fall_behind();
        assert!(window.begin_page(true, false));
        window.leave(&first);
        assert!(!window.take(&first));
        window.end_page(false);
        assert!(window.take(&first));
        assert_eq!(window.bytes, 10);
    }

    #[test]
    fn a_page_is_read_where_rows_wait_and_there_is_room() {
        let mut window = Window::default();
        assert!(!window.begin_page(true, false), "nothing waits");
        window.fall_behind();
        assert!(!window.begin_page(false, false), "closed");
        assert!(window.begin_page(true, false) && window.reading && !window.behind);
        window.end_page(true);
        assert!(window.begin_page(true, true), "the next page of the same poll");
        let large = event(1, WINDOW_BYTES);
        assert!(window.take(&large));
        assert!(!window.begin_page(true, true), "no room");
        assert!(window.behind && !window.reading, "the rest is read later");
        window.leave(&large);
        assert!(window.wants_rows());
    }

    #[test]
    fn the_window_is_bounded_by_count_and_by_size_and_half_is_for_the_rows() {
        let mut window = Window::default();
        for row in 0..WINDOW as i64 {
            assert!(window.offer(&event(row + 1, 1)));
        }
        assert!(!window.offer(&event(5_000, 1)) && window.behind);
        let mut window = Window { behind: true, ..Window::default() };
        let taken = (0..WINDOW as i64).filter(|row| window.offer(&event(row + 1, 1))).count();
        assert_eq!(taken, WINDOW / 2);
        let mut window = Window::default();
        assert!(window.offer(&event(1, WINDOW_BYTES + 1)), "a large one goes alone");
        assert!(!window.offer(&event(2, 1)));
    }
}
