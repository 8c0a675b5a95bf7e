//! Requests of each address against a rate, in a table of a fixed size.
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Rate;
use hookwright_model::token_bucket::{Pace, nanos_since};
use hookwright_server::network;

/// A set is a few addresses that share a lock: 8,192 in all, in 128 KiB.
const SETS: usize = 1024;
const WAYS: usize = 8;

/// Counts each address by itself. Where all places that an address may have are
/// taken, it takes that of the one that was quiet for longest, which then
/// starts again: a table that overflows lets more through, and grows no larger.
pub(super) struct Addresses {
    pub(super) pace: Pace,
    epoch: Instant,
    /// Keyed at random, so that nobody can choose whose place to take.
    hasher: RandomState,
    sets: Box<[Mutex<[Slot; WAYS]>]>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    who: u64,
    /// When its next request would be on pace, in nanoseconds since the epoch.
    next: u64,
}

impl Addresses {
    pub(super) fn new(rate: Rate) -> Self {
        Self::sized(rate, SETS)
    }

    /// Remembers eight times as many addresses as `sets`.
    pub(super) fn sized(rate: Rate, sets: usize) -> Self {
        Self {
            pace: rate.pace(),
            epoch: Instant::now(),
            hasher: RandomState::new(),
            sets: (0..sets).map(|_| Mutex::default()).collect(),
        }
    }

    /// Takes one token of the address.
    ///
    /// # Errors
    /// How long until there is one.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let now = nanos_since(self.epoch, now);
        let who = self.hasher.hash_one(network(address));
        let mut set = self.sets[who as usize % self.sets.len()].lock();
        let place = match set.iter().position(|slot| slot.who == who) {
            Some(place) => place,
            None => {
                let quiet = (0..WAYS).min_by_key(|place| set[*place].next).unwrap_or(0);
                set[quiet] = Slot { who, next: 0 };
                quiet
            }
        };
        set[place].next = self.pace.take(set[place].next, now)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn each_address_has_the_rate_for_itself() {
        let addresses = Addresses::new(Rate { per_s: 1.0, burst: 2 });
        let now = addresses.epoch;
        for address in [1, 2] {
            assert!(addresses.take(four(address), now).is_ok());
            assert!(addresses.take(four(address), now).is_ok());
            assert_eq!(addresses.take(four(address), now), Err(Duration::from_secs(1)));
        }
        assert!(addresses.take(four(1), now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn the_addresses_of_an_ipv6_network_are_one() {
        let addresses = Addresses::new(Rate { per_s: 1e-6, burst: 1 });
        let now = addresses.epoch;
        let take = |text: &str| addresses.take(text.parse().unwrap(), now).is_ok();
        assert!(take("2001:db8:0:1::1") && !take("2001:db8:0:1:ffff::2"));
        assert!(take("2001:db8:0:2::1"));
    }

    #[test]
    fn a_flood_of_addresses_takes_no_more_room_and_hardly_shields_a_busy_one() {
        let addresses = Addresses::new(Rate { per_s: 1e-3, burst: 5 });
        let mut now = addresses.epoch;
        let mut passed = 0;
        for other in 0..100_000 {
            now += Duration::from_micros(1);
            let _ = addresses.take(four(1_000 + other), now);
            passed += usize::from(addresses.take(four(1), now).is_ok());
        }
        assert_eq!(addresses.sets.len() * WAYS, 8_192);
        assert!(passed < 100, "{passed} of 100,000");
    }
}
