//! Keys that a source's scheme has at a URL: fetched once, kept for a while, and not asked for too often.
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use self::cache::{Cache, Entry};
use super::addresses::Addresses;
use crate::Rate;
use hookwright_model::token_bucket::TokenBucket;
use hookwright_signing::{Fetched, Verifier, Wanted};

mod cache;
#[cfg(test)]
mod tests;

/// What a fetch comes to: the bytes at the URL, or why there are none.
pub type Fetching = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;

/// Gets what is at an `https` URL. The URL is one of a provider or of the settings.
pub trait Fetch: Send + Sync + 'static {
    /// Ends by itself, within seconds. The error is for the log.
    fn fetch(&self, url: String) -> Fetching;
}

/// Has nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFetch;

impl Fetch for NoFetch {
    fn fetch(&self, _: String) -> Fetching {
        Box::pin(std::future::ready(Err("nothing can be fetched here".to_owned())))
    }
}

/// Where it failed it is not tried again for so long.
const FAILED: Duration = Duration::from_secs(30);
/// Old keys serve for so long after a fetch was due and failed.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// Between two fetches of a set of keys because a token names a key that is not in it.
const AGAIN: Duration = Duration::from_secs(60);
/// Fetches of URLs that no verified request has named yet: of one address, and of a source.
const FETCHES_PER_ADDRESS: Rate = Rate { per_s: 1.0 / 30.0, burst: 3 };
const FETCHES: Rate = Rate { per_s: 2.0, burst: 40 };
/// The same at one time.
const AT_ONCE: usize = 8;

/// The cache of one source's fetched keys. Strangers can name URLs in requests that nothing
/// proves yet: what they name has a budget of its own, and never takes the place of keys by
/// which a request was verified.
pub(super) struct Keys {
    cache: Mutex<Cache>,
    /// One fetch of a URL at a time; those that wait find what it brought.
    flights: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    fetches: TokenBucket,
    /// Made with the first fetch: most sources never have one.
    addresses: OnceLock<Addresses>,
    at_once: Semaphore,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            cache: Mutex::default(),
            flights: Mutex::default(),
            fetches: TokenBucket::new(FETCHES.pace()),
            addresses: OnceLock::new(),
            at_once: Semaphore::new(AT_ONCE),
        }
    }
}

/// Who asks, with what, and when.
#[derive(Clone, Copy)]
pub(super) struct Requester<'a> {
    pub(super) verifier: &'a Verifier,
    pub(super) fetch: &'a dyn Fetch,
    pub(super) address: IpAddr,
    pub(super) now: Instant,
}

impl Keys {
    /// None where they can't be had now.
    pub(super) async fn get(
        &self,
        wanted: &Wanted<'_>,
        requester: Requester<'_>,
    ) -> Option<Arc<Fetched>> {
        if let Some(known) = self.cached(wanted, requester.now) {
            return known;
        }
        let flight = Flight::of(self, &wanted.url);
        let _one = flight.lock.lock().await;
        // The fetch that held the lock may have brought it.
        if let Some(known) = self.cached(wanted, requester.now) {
            return known;
        }
        let Ok(_permit) = self.permit(wanted, requester).await else {
            return self.stale(wanted, requester);
        };
        let url = wanted.url.clone().into_owned();
        let read = match requester.fetch.fetch(url.clone()).await {
            Ok(bytes) => {
                requester.verifier.read(&bytes).ok_or_else(|| "there are no keys in it".to_owned())
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(keys) => {
                let keys = Arc::new(keys);
                let due = requester.now + requester.verifier.age();
                let entry = Entry { url, keys: keys.clone(), fetched: requester.now, due };
                self.cache.lock().keep(entry, wanted.named);
                Some(keys)
            }
            Err(error) => {
                tracing::warn!(url, error, "keys could not be fetched");
                self.cache.lock().failed(&url, requester.now + FAILED);
                self.stale(wanted, requester)
            }
        }
    }

    /// A request was verified by what is at the URL: strangers can't push it out any more.
    pub(super) fn proved(&self, url: &str) {
        self.cache.lock().prove(url);
    }

    /// Fetches a URL that a verified request wants to be fetched: once, however often the
    /// same request comes.
    ///
    /// # Errors
    /// It failed, now or a moment ago.
    pub(super) async fn confirm(
        &self,
        url: String,
        fetch: &dyn Fetch,
        now: Instant,
    ) -> Result<(), String> {
        let flight = Flight::of(self, &url);
        let _one = flight.lock.lock().await;
        match self.cache.lock().confirmed(&url, now) {
            Some(true) => return Ok(()),
            Some(false) => return Err("it failed a moment ago".to_owned()),
            None => {}
        }
        let fetched = fetch.fetch(url.clone()).await;
        let mut cache = self.cache.lock();
        match &fetched {
            Ok(_) => cache.confirm(&url),
            Err(_) => cache.failed(&url, now + FAILED),
        }
        fetched.map(drop)
    }

    /// What is known of the URL, where no fetch is due.
    fn cached(&self, wanted: &Wanted<'_>, now: Instant) -> Option<Option<Arc<Fetched>>> {
        let mut cache = self.cache.lock();
        if let Some(entry) = cache.find(&wanted.url) {
            let lacking = wanted.key_id.as_deref().is_some_and(|id| !entry.keys.has(id));
            let again = lacking && now >= entry.fetched + AGAIN;
            if now < entry.due && !again {
                return Some(Some(entry.keys.clone()));
            }
        }
        let failed = cache.has_failed(&wanted.url, now);
        let keys = cache.find(&wanted.url).map(|entry| entry.keys.clone());
        failed.then_some(keys)
    }

    /// Leave for one fetch. What the settings name, or what has proved a request before, always
    /// has it: it is fetched when it is due, and not more often.
    async fn permit(
        &self,
        wanted: &Wanted<'_>,
        requester: Requester<'_>,
    ) -> Result<Option<SemaphorePermit<'_>>, ()> {
        if !wanted.named || self.cache.lock().is_proved(&wanted.url) {
            return Ok(None);
        }
        let addresses = self.addresses.get_or_init(|| Addresses::new(FETCHES_PER_ADDRESS));
        addresses.take(requester.address, requester.now).map_err(drop)?;
        self.fetches.take(requester.now).map_err(drop)?;
        self.at_once.acquire().await.map(Some).map_err(drop)
    }

    fn stale(&self, wanted: &Wanted<'_>, requester: Requester<'_>) -> Option<Arc<Fetched>> {
        let mut cache = self.cache.lock();
        let entry = cache.find(&wanted.url)?;
        let age = requester.now.saturating_duration_since(entry.fetched);
        (age < requester.verifier.age() + STALE).then(|| entry.keys.clone())
    }
}

/// A place among those that want the same URL.
struct Flight<'k> {
    keys: &'k Keys,
    url: &'k str,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'k> Flight<'k> {
    fn of(keys: &'k Keys, url: &'k str) -> Self {
        let lock = keys.flights.lock().entry(url.to_owned()).or_default().clone();
        Self { keys, url, lock }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.keys.flights.lock();
        // The table's own and this one: nobody else waits.
        if Arc::strong_count(&self.lock) <= 2 {
            flights.remove(self.url);
        }
    }
}
