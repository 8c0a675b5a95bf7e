//! Pointers that a plugin looks up in each event, taken apart once for many calls.
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwapOption;

use hookwright_model::pointer::Wanted;

/// Lists that are remembered; the next one takes the place of the one that was remembered first.
const LISTS: usize = 4;
/// Bytes of the pointers of a list that is remembered, together.
const BYTES: usize = 4 << 10;

/// The lists of pointers that the guests of one code asked for last.
///
/// Each `select` of a guest looks here: nearly all plugins ask for the same pointers in every event, and to take them
/// apart costs as much as to walk over a small body. Calls side by side share no lock.
#[derive(Default)]
pub(crate) struct Selections {
    known: [ArcSwapOption<Known>; LISTS],
    next: AtomicUsize,
}

/// A list with what was made of it.
struct Known {
    pointers: Vec<String>,
    wanted: Arc<Wanted>,
}

impl Selections {
    /// The pointers in the form that a search follows.
    pub(crate) fn of(&self, pointers: Vec<String>) -> Arc<Wanted> {
        for place in &self.known {
            if let Some(known) = &*place.load()
                && known.pointers == pointers
            {
                return Arc::clone(&known.wanted);
            }
        }
        let wanted = Arc::new(Wanted::new(&pointers));
        // What is kept has a bound, whatever plugins ask for.
        if pointers.iter().map(String::len).sum::<usize>() <= BYTES {
            let place = self.next.fetch_add(1, Ordering::Relaxed) % LISTS;
            let known = Known { pointers, wanted: Arc::clone(&wanted) };
            self.known[place].store(Some(Arc::new(known)));
        }
        wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(name: usize) -> Vec<String> {
        vec![format!("/{name}"), "/b".into()]
    }

    #[test]
    fn a_list_is_taken_apart_once_and_a_bounded_number_is_kept() {
        let lists = Selections::default();
        let first = lists.of(list(0));
        assert!(Arc::ptr_eq(&first, &lists.of(list(0))));
        for name in 1..20 {
            let wanted = lists.of(list(name));
            assert!(Arc::ptr_eq(&wanted, &lists.of(list(name))), "{name}");
        }
        assert!(!Arc::ptr_eq(&first, &lists.of(list(0))), "others took its place");
    }

    #[test]
    fn a_list_beyond_the_bound_is_taken_apart_and_not_kept() {
        let lists = Selections::default();
        let long = vec!["/".to_owned() + &"a".repeat(BYTES)];
        let wanted = lists.of(long);
        assert_eq!(wanted.select(br#"{"a":1}"#), [None]);
        assert!(lists.known.iter().all(|place| place.load().is_none()));
    }
}
