//! The byte budget: a limit on the memory of requests that are being received and not verified yet, with fair shares.
//!
//! The rule is that of dynamic thresholds in shared-memory switches (Choudhury
//! and Hahne, 1998): a sender may hold as much as is still free. A flood from one
//! source thus stops at half of the budget, two floods at a third each, and a new
//! sender always finds as much free as the largest holds.
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ::metrics::{Counter, Gauge, counter, gauge};

use hookwright_model::metrics::{BYTES_IN_FLIGHT, BYTES_REFUSED};

/// Slots for addresses. Two addresses with the same slot share its bytes.
const PLACES: usize = 4096;
/// Bytes that an address may always hold at a source while any are free: an ordinary
/// webhook is accepted beside a flood of its own source.
const LEAST: usize = 16 * 1024;

/// The bytes that one listener may hold. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Budget(Arc<Shared>);

struct Shared {
    most: AtomicUsize,
    used: AtomicUsize,
    /// Bytes of each address at each source, in a table of a fixed size.
    places: Box<[AtomicUsize]>,
    /// Randomly keyed, so that a client can't choose whose slot it shares.
    hasher: RandomState,
    gauge: Gauge,
    refused: Counter,
}

/// The bytes of one source, over all addresses. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Share(Arc<AtomicUsize>);

/// The budget, or this holder's share of it, is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent;

impl Budget {
    /// A budget of `most` bytes; `listener` is its name in the metrics.
    pub fn new(listener: &'static str, most: usize) -> Self {
        Self(Arc::new(Shared {
            most: AtomicUsize::new(most),
            used: AtomicUsize::new(0),
            places: (0..PLACES).map(|_| AtomicUsize::new(0)).collect(),
            hasher: RandomState::new(),
            gauge: gauge!(BYTES_IN_FLIGHT, "listener" => listener),
            refused: counter!(BYTES_REFUSED, "listener" => listener),
        }))
    }

    /// An empty account of an address, and of a source if it is known.
    pub fn charge(&self, address: IpAddr, share: Option<&Share>) -> Charge {
        let source = share.map_or(0, |share| Arc::as_ptr(&share.0) as usize);
        let who = self.0.hasher.hash_one((source, network(address)));
        let place = who as usize % PLACES;
        Charge { budget: self.clone(), place, share: share.cloned(), held: 0 }
    }

    /// Changes the size; bytes that are held stay held.
    pub fn resize(&self, most: usize) {
        self.0.most.store(most, Relaxed);
    }

    /// Bytes that are held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }
}

/// An address as budgets and rates count it: an IPv6 network of 64 bits is one, since a client with one of its
/// addresses has them all.
pub fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(four) => u64::from(four.to_bits()),
        IpAddr::V6(six) => (six.to_bits() >> 64) as u64,
    }
}

/// Bytes that one request holds, given back when it is dropped.
pub struct Charge {
    budget: Budget,
    place: usize,
    share: Option<Share>,
    held: usize,
}

impl Charge {
    /// Takes so many bytes more.
    ///
    /// # Errors
    /// Where the budget, or this holder's share of it, is used up; nothing is taken then.
    pub fn take(&mut self, bytes: usize) -> Result<(), Spent> {
        let inner = &self.budget.0;
        let used = inner.used.fetch_add(bytes, Relaxed).saturating_add(bytes);
        let own = inner.places[self.place].fetch_add(bytes, Relaxed).saturating_add(bytes);
        let source = self.share.as_ref().map(|share| share.0.fetch_add(bytes, Relaxed) + bytes);
        let most = inner.most.load(Relaxed);
        let free = most.saturating_sub(used);
        let fair = own <= LEAST || (own <= free / 2 && source.is_none_or(|all| all <= free));
        if used > most || !fair {
            self.release(bytes);
            inner.refused.increment(1);
            return Err(Spent);
        }
        inner.gauge.increment(bytes as f64);
        self.held += bytes;
        Ok(())
    }

    /// Holds exactly so many bytes from now on.
    ///
    /// # Errors
    /// As [`Self::take`]; what was held stays held.
    pub fn resize(&mut self, bytes: usize) -> Result<(), Spent> {
        match bytes.checked_sub(self.held) {
            Some(0) => Ok(()),
            Some(more) => self.take(more),
            None => {
                self.give(self.held - bytes);
                Ok(())
            }
        }
    }

    /// Hands all that is held to a new owner, under the same name.
    #[must_use]
    pub fn split(&mut self) -> Self {
        let held = std::mem::take(&mut self.held);
        let (budget, share) = (self.budget.clone(), self.share.clone());
        Self { budget, place: self.place, share, held }
    }

    /// Bytes that it holds now.
    pub fn held(&self) -> usize {
        self.held
    }

    fn give(&mut self, bytes: usize) {
        self.held -= bytes;
        self.budget.0.gauge.decrement(bytes as f64);
        self.release(bytes);
    }

    fn release(&self, bytes: usize) {
        let inner = &self.budget.0;
        inner.used.fetch_sub(bytes, Relaxed);
        inner.places[self.place].fetch_sub(bytes, Relaxed);
        if let Some(share) = &self.share {
            share.0.fetch_sub(bytes, Relaxed);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.held > 0 {
            self.give(self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: usize = 1024 * 1024;

    fn four(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    /// Takes a MiB at a time until there is none; gives how many it got.
    fn flood(charge: &mut Charge) -> usize {
        (0..1_000).take_while(|_| charge.take(MIB).is_ok()).count()
    }

    #[test]
    fn one_holder_leaves_as_much_as_it_has_and_two_more_to_the_others() {
        let budget = Budget::new("test", 120 * MIB);
        let (noisy, quiet) = (Share::default(), Share::default());
        let mut first = budget.charge(four(1), Some(&noisy));
        assert_eq!(flood(&mut first), 40, "an address: half of what is left");
        let mut more = Vec::new();
        for address in 2..20 {
            let mut charge = budget.charge(four(address), Some(&noisy));
            flood(&mut charge);
            more.push(charge);
        }
        assert_eq!(budget.used(), 60 * MIB, "a source: as much as is left");
        // The same address at another source, and another one there.
        let mut same = budget.charge(four(1), Some(&quiet));
        assert_eq!(flood(&mut same), 20);
        let mut other = budget.charge(four(99), Some(&quiet));
        assert!(flood(&mut other) >= 8);
        drop((first, more, same, other));
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn a_small_body_comes_through_beside_a_flood_of_its_own_source() {
        let budget = Budget::new("test", 16 * MIB);
        let source = Share::default();
        let mut floods = Vec::new();
        for address in 1..100 {
            let mut charge = budget.charge(four(address), Some(&source));
            flood(&mut charge);
            floods.push(charge);
        }
        let mut provider = budget.charge(four(7_777), Some(&source));
        assert_eq!(provider.take(LEAST), Ok(()));
        assert_eq!(provider.take(MIB), Err(Spent));
        assert_eq!(provider.held(), LEAST);
    }

    #[test]
    fn what_is_held_can_shrink_and_move() {
        let budget = Budget::new("test", MIB);
        let mut charge = budget.charge(four(1), None);
        charge.resize(5_000).unwrap();
        let mut moved = charge.split();
        assert_eq!((charge.held(), moved.held(), budget.used()), (0, 5_000, 5_000));
        moved.resize(10).unwrap();
        drop(charge);
        assert_eq!(budget.used(), 10);
        drop(moved);
        assert_eq!(budget.used(), 0);
    }

    proptest! {
        #[test]
        fn never_more_than_the_budget_and_all_is_given_back(takes in prop::collection::vec((0u32..5, 0usize..3, 0usize..100_000), 0..200)) {
            let budget = Budget::new("test", MIB);
            let shares = [Share::default(), Share::default()];
            let mut held = Vec::new();
            for (address, source, bytes) in takes {
                let mut charge = budget.charge(four(address), shares.get(source));
                let _ = charge.take(bytes);
                prop_assert!(budget.used() <= MIB);
                held.push(charge);
            }
            drop(held);
            prop_assert_eq!(budget.used(), 0);
            prop_assert!(shares.iter().all(|share| share.0.load(Relaxed) == 0));
        }
    }
}
