//! Addresses from which a source's accepted events came, in a table of a fixed size.
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use hookwright_server::network;

const PLACES: usize = 1024;

/// Remembers the last address of each place: strangers can't enter it, and where
/// a provider has very many some are forgotten until they send again.
pub(super) struct Known {
    /// Keyed at random, so that nobody can choose a place.
    hasher: RandomState,
    /// A mark of the address; 0 where there is none.
    places: Box<[AtomicU32]>,
    any: AtomicU32,
}

impl Default for Known {
    fn default() -> Self {
        let places = (0..PLACES).map(|_| AtomicU32::new(0)).collect();
        Self { hasher: RandomState::new(), places, any: AtomicU32::new(0) }
    }
}

impl Known {
    pub(super) fn add(&self, address: IpAddr) {
        let (place, mark) = self.place(address);
        // Mostly there already, and then nothing is written that threads share.
        if place.load(Relaxed) != mark {
            place.store(mark, Relaxed);
            self.any.store(1, Relaxed);
        }
    }

    pub(super) fn has(&self, address: IpAddr) -> bool {
        let (place, mark) = self.place(address);
        place.load(Relaxed) == mark
    }

    pub(super) fn is_empty(&self) -> bool {
        self.any.load(Relaxed) == 0
    }

    fn place(&self, address: IpAddr) -> (&AtomicU32, u32) {
        let who = self.hasher.hash_one(network(address));
        (&self.places[who as usize % PLACES], (who >> 32) as u32 | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_known_once_it_was_added() {
        let known = Known::default();
        let address = |number: u32| IpAddr::V4(number.into());
        assert!(known.is_empty() && !known.has(address(1)));
        known.add(address(1));
        assert!(!known.is_empty() && known.has(address(1)) && !known.has(address(2)));
        for number in 2..100_000 {
            known.add(address(number));
        }
        assert!(known.has(address(99_999)));
        assert_eq!(known.places.len(), PLACES);
    }
}
