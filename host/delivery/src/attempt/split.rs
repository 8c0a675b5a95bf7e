//! How a batch is taken apart where some of it spoils it for the rest. Pure: outcomes in, the next request's deliveries out.
//!
//! A request that is refused is halved until the guilty one is alone; what lay
//! before it has gone then. The next request is as long as the innocent were
//! between two guilty ones on average, and twice as long after each that goes
//! well. So one guilty delivery among n costs some 2·log₂ n requests more, and
//! a destination that refuses all n of them costs log₂ n more than if each had
//! gone by itself from the start.
use std::collections::VecDeque;

/// The deliveries of a batch that have not ended, by their places in it, in order.
pub(super) struct Split {
    pending: VecDeque<usize>,
    /// One of so many at the front is guilty, at least; 0: nothing is known of them.
    narrowed: usize,
    /// So many in the next request where nothing is known.
    size: usize,
    most: usize,
    well: usize,
    guilty: usize,
}

impl Split {
    pub(super) fn new(count: usize) -> Self {
        let most = count.max(1);
        let pending = (0..count).collect();
        Self { pending, narrowed: 0, size: most, most, well: 0, guilty: 0 }
    }

    /// What goes into the next request: the first ones that fit, at least one.
    /// None where nothing is left. They stay pending until they are told of.
    pub(super) fn next(
        &self,
        bytes: usize,
        size_of: impl Fn(usize) -> usize,
    ) -> Option<Vec<usize>> {
        let first = *self.pending.front()?;
        let size = if self.narrowed > 0 { self.narrowed / 2 } else { self.size };
        let mut room = bytes.saturating_sub(size_of(first));
        let mut group = vec![first];
        for place in self.pending.iter().copied().take(size).skip(1) {
            let Some(left) = room.checked_sub(size_of(place)) else { break };
            room = left;
            group.push(place);
        }
        Some(group)
    }

    /// The first `count` went well.
    pub(super) fn succeeded(&mut self, count: usize) {
        self.pending.drain(..count.min(self.pending.len()));
        self.well = self.well.saturating_add(count);
        match self.narrowed {
            0 => self.size = self.size.saturating_mul(2).min(self.most),
            narrowed => self.narrowed = narrowed.saturating_sub(count),
        }
    }

    /// The first `count` went badly; those that `stay` are tried again in smaller messages.
    pub(super) fn failed(&mut self, count: usize, stay: &[usize]) {
        self.pending.drain(..count.min(self.pending.len()));
        for place in stay.iter().rev() {
            self.pending.push_front(*place);
        }
        self.narrowed = stay.len();
        if stay.is_empty() {
            self.guilty += 1;
            self.size = (self.well / self.guilty).clamp(1, self.most);
        }
    }

    /// Those that are left.
    pub(super) fn rest(&self) -> impl Iterator<Item = usize> + '_ {
        self.pending.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sends until all have ended; how many requests there were, and who was alone when refused.
    fn run(count: usize, guilty: &[usize]) -> (usize, Vec<usize>, Vec<usize>) {
        let mut split = Split::new(count);
        let (mut requests, mut dead, mut good) = (0, Vec::new(), Vec::new());
        while let Some(group) = split.next(usize::MAX, |_| 1) {
            requests += 1;
            let refused = group.iter().any(|place| guilty.contains(place));
            match (refused, group.as_slice()) {
                (false, _) => {
                    good.extend(&group);
                    split.succeeded(group.len());
                }
                (true, [alone]) => {
                    dead.push(*alone);
                    split.failed(1, &[]);
                }
                (true, _) => split.failed(group.len(), &group),
            }
        }
        (requests, dead, good)
    }

    proptest! {
        #[test]
        fn only_the_guilty_are_refused_alone_and_all_others_go(
            count in 1usize..200,
            guilty in prop::collection::btree_set(0usize..200, 0..200),
        ) {
            let guilty: Vec<usize> = guilty.into_iter().filter(|place| *place < count).collect();
            let (requests, dead, good) = run(count, &guilty);
            prop_assert_eq!(&dead, &guilty);
            let others: Vec<usize> = (0..count).filter(|place| !guilty.contains(place)).collect();
            prop_assert_eq!(good, others, "in their order");
            let log = count.next_power_of_two().ilog2() as usize;
            let each = 1 + (2 * log + 2) * guilty.len();
            prop_assert!(requests <= each.min(2 * count + log + 1), "{requests}");
        }
    }

    #[test]
    fn who_refuses_all_is_asked_hardly_more_often_than_without_batches() {
        for count in [1, 2, 10, 100, 1_000] {
            let all: Vec<usize> = (0..count).collect();
            let log = count.next_power_of_two().ilog2() as usize;
            assert!(run(count, &all).0 <= count + log, "{count}");
        }
        assert_eq!(run(1_000, &[]).0, 1);
        assert!(run(1_000, &[500]).0 <= 22, "{}", run(1_000, &[500]).0);
    }

    #[test]
    fn bytes_bound_a_request_too_but_one_goes_always() {
        let mut split = Split::new(4);
        let sizes = [6, 5, 20, 1];
        assert_eq!(split.next(10, |place| sizes[place]), Some(vec![0]));
        split.succeeded(1);
        assert_eq!(split.next(10, |place| sizes[place]), Some(vec![1]));
        split.succeeded(1);
        assert_eq!(split.next(10, |place| sizes[place]), Some(vec![2]));
        split.failed(1, &[]);
        assert_eq!(split.next(10, |place| sizes[place]), Some(vec![3]));
        split.succeeded(1);
        assert_eq!(split.next(10, |place| sizes[place]), None);
    }
}
