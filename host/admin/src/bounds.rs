//! How much one token, and one address, may ask of the admin side at once.
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::caller::Caller;
use super::problem::Problem;
use hookwright_server::network;

/// Requests at once of a token. One that waits in the feed is one of them.
const REQUESTS: usize = 64;
/// Streams without an end, of a token.
const STREAMS: usize = 32;
/// What an address may have under way, times what a token may: one token must
/// leave room for the others that come from there, as from behind one proxy.
const TOKENS: usize = 4;
/// Polls of the rows for streams, over all of them.
const POLLS: usize = 4;

/// Counts what is under way. Cheap to clone; clones share it.
#[derive(Clone)]
pub struct Bounds(Arc<Inner>);

struct Inner {
    /// No more entries than there is under way.
    in_flight: Mutex<HashMap<Key, usize>>,
    polls: Semaphore,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Request,
    Stream,
}

/// Whom a request or a stream counts against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Token(Kind, String),
    Address(Kind, u64),
}

/// A request or a stream that is counted, until dropped.
pub(super) struct Permit {
    bounds: Bounds,
    keys: Vec<Key>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self(Arc::new(Inner { in_flight: Mutex::default(), polls: Semaphore::new(POLLS) }))
    }
}

impl Bounds {
    /// For the time of one request.
    pub(super) fn request(&self, caller: &Caller) -> Result<Permit, Problem> {
        self.acquire(Kind::Request, &caller.name, caller.address, REQUESTS)
    }

    /// For as long as a stream is read.
    pub(super) fn stream(&self, caller: &Caller) -> Result<Permit, Problem> {
        self.acquire(Kind::Stream, &caller.name, caller.address, STREAMS)
    }

    /// One of a few polls of the rows at a time: what each reads is in memory meanwhile.
    pub(super) async fn poll(&self) -> Option<SemaphorePermit<'_>> {
        self.0.polls.acquire().await.ok()
    }

    fn acquire(
        &self,
        kind: Kind,
        name: &str,
        address: Option<IpAddr>,
        most: usize,
    ) -> Result<Permit, Problem> {
        let own = Key::Token(kind, name.to_owned());
        let address = address.map(|address| Key::Address(kind, network(address)));
        let keys: Vec<Key> = [own].into_iter().chain(address).collect();
        let mut in_flight = self.0.in_flight.lock();
        for key in &keys {
            let (who, most) = match key {
                Key::Token(..) => ("token", most),
                Key::Address(..) => ("address", most * TOKENS),
            };
            if in_flight.get(key).is_some_and(|count| *count >= most) {
                let what = if kind == Kind::Stream { "streams" } else { "requests" };
                return Err(Problem::crowded(format!(
                    "this {who} has {most} {what} under way; end one, then try again"
                )));
            }
        }
        for key in &keys {
            *in_flight.entry(key.clone()).or_default() += 1;
        }
        drop(in_flight);
        Ok(Permit { bounds: self.clone(), keys })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut in_flight = self.bounds.0.in_flight.lock();
        for key in self.keys.drain(..) {
            if let Entry::Occupied(mut entry) = in_flight.entry(key) {
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
        let permits: Vec<_> = (0..STREAMS).map(|_| bounds.stream(&one).ok()).collect();
        assert!(permits.iter().all(Option::is_some));
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
        drop((permits, others));
        assert!(bounds.stream(&one).is_ok());
        assert!(bounds.0.in_flight.lock().is_empty());
    }
}
