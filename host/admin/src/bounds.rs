//! How much one token, and one address, may ask of the admin side at once.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::access::Caller;
use super::problem::Problem;
use hookwright_server::network;

/// Requests at once of a token. One that waits in the feed is one of them.
const REQUESTS: usize = 64;
/// Streams without an end, of a token.
const STREAMS: usize = 32;
/// What an address may have under way, times what a token may: one token must
/// leave room for the others that come from there, as from behind one proxy.
const TOKENS: usize = 4;
/// Looks at the rows for streams, over all of them.
const LOOKS: usize = 4;

/// Counts what is under way. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Bounds(Arc<Inner>);

struct Inner {
    /// No more entries than there is under way.
    taken: Mutex<HashMap<Place, usize>>,
    looks: Semaphore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Request,
    Stream,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Token(What, String),
    Address(What, u64),
}

/// A place under way, until dropped.
pub(super) struct Seat {
    bounds: Bounds,
    places: Vec<Place>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self(Arc::new(Inner { taken: Mutex::default(), looks: Semaphore::new(LOOKS) }))
    }
}

impl Bounds {
    /// For the time of one request.
    pub(super) fn request(&self, caller: &Caller) -> Result<Seat, Problem> {
        self.sit(What::Request, &caller.name, caller.address, REQUESTS)
    }

    /// For as long as a stream is read.
    pub(super) fn stream(&self, caller: &Caller) -> Result<Seat, Problem> {
        self.sit(What::Stream, &caller.name, caller.address, STREAMS)
    }

    /// One of a few looks at the rows at a time: what each reads is in memory meanwhile.
    pub(super) async fn look(&self) -> Option<SemaphorePermit<'_>> {
        self.0.looks.acquire().await.ok()
    }

    fn sit(
        &self,
        what: What,
        name: &str,
        address: Option<IpAddr>,
        most: usize,
    ) -> Result<Seat, Problem> {
        let own = Place::Token(what, name.to_owned());
        let address = address.map(|address| Place::Address(what, network(address)));
        let places: Vec<Place> = [own].into_iter().chain(address).collect();
        let mut taken = self.0.taken.lock();
        for place in &places {
            let (who, most) = match place {
                Place::Token(..) => ("token", most),
                Place::Address(..) => ("address", most * TOKENS),
            };
            if taken.get(place).is_some_and(|count| *count >= most) {
                let what = if what == What::Stream { "streams" } else { "requests" };
                return Err(Problem::crowded(format!(
                    "this {who} has {most} {what} under way; end one, then try again"
                )));
            }
        }
        for place in &places {
            *taken.entry(place.clone()).or_default() += 1;
        }
        drop(taken);
        Ok(Seat { bounds: self.clone(), places })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.bounds.0.taken.lock();
        for place in self.places.drain(..) {
            if let Entry::Occupied(mut entry) = taken.entry(place) {
                *entry.get_mut() -= 1;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_model::Scope;

    fn caller(name: &str, address: [u8; 4]) -> Caller {
        Caller { name: name.into(), scope: Scope::Read, address: Some(address.into()) }
    }

    #[test]
    fn a_token_and_an_address_have_so_many_places_and_give_them_back() {
        let bounds = Bounds::default();
        let one = caller("a", [10, 0, 0, 1]);
        let seats: Vec<_> = (0..STREAMS).map(|_| bounds.stream(&one).ok()).collect();
        assert!(seats.iter().all(Option::is_some));
        assert!(bounds.stream(&caller("a", [10, 0, 0, 2])).is_err(), "the token's are taken");
        let others = (0..(TOKENS - 1) * STREAMS).map(|number| {
            let other = caller(&format!("b{}", number / STREAMS), [10, 0, 0, 1]);
            bounds.stream(&other).ok()
        });
        let others: Vec<_> = others.collect();
        assert!(others.iter().all(Option::is_some), "one token leaves room for others");
        assert!(bounds.stream(&caller("c", [10, 0, 0, 1])).is_err(), "the address's are taken");
        assert!(bounds.stream(&caller("c", [10, 0, 0, 2])).is_ok());
        assert!(bounds.request(&one).is_ok(), "requests are counted apart");
        drop((seats, others));
        assert!(bounds.stream(&one).is_ok());
        assert!(bounds.0.taken.lock().is_empty());
    }
}
