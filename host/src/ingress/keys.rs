//! Keys that a source's scheme has at a URL: fetched once, kept for a while, and not asked for too often.
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Rate;
use super::rate::Bucket;
use crate::signing::{Fetched, Verifier};

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

/// URLs that are remembered; a provider has few at a time.
const KNOWN: usize = 16;
/// Where it failed it is not tried again for so long.
const FAILED: Duration = Duration::from_secs(30);
/// What was fetched once is better than nothing for so long.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// Fetches of one source: whoever posts can name URLs of the provider.
const LOOKS: Rate = Rate { per_s: 0.5, burst: 10 };

/// One source's.
pub(super) struct Keys {
    known: Mutex<Vec<Known>>,
    /// One fetch at a time; those that wait find what it brought.
    fetching: tokio::sync::Mutex<()>,
    looks: Bucket,
}

struct Known {
    url: String,
    keys: Option<Arc<Fetched>>,
    fetched: Instant,
    /// When the next fetch is due.
    due: Instant,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
            looks: Bucket::new(LOOKS),
        }
    }
}

impl Keys {
    /// None where they can't be had now.
    pub(super) async fn get(
        &self,
        url: &str,
        verifier: &Verifier,
        fetch: &dyn Fetch,
        now: Instant,
    ) -> Option<Arc<Fetched>> {
        if let Some(known) = self.at_hand(url, now) {
            return known;
        }
        let _one = self.fetching.lock().await;
        // Whoever held the lock may have brought it.
        if let Some(known) = self.at_hand(url, now) {
            return known;
        }
        if self.looks.take(now).is_err() {
            return self.old(url, now);
        }
        let read = match fetch.fetch(url.to_owned()).await {
            Ok(bytes) => verifier.read(&bytes).ok_or_else(|| "there are no keys in it".to_owned()),
            Err(error) => Err(error),
        };
        match read {
            Ok(keys) => {
                let keys = Some(Arc::new(keys));
                let due = now + verifier.age();
                self.keep(Known { url: url.to_owned(), keys: keys.clone(), fetched: now, due });
                keys
            }
            Err(error) => {
                tracing::warn!(url, error, "keys could not be fetched");
                let old = self.old(url, now);
                let fetched = self.fetched(url).unwrap_or(now);
                let due = now + FAILED;
                self.keep(Known { url: url.to_owned(), keys: old.clone(), fetched, due });
                old
            }
        }
    }

    /// What is known of the URL, where no fetch is due.
    fn at_hand(&self, url: &str, now: Instant) -> Option<Option<Arc<Fetched>>> {
        let mut known = self.known.lock();
        let place = known.iter().position(|one| one.url == url && now < one.due)?;
        // The last one used is the last to go.
        let one = known.remove(place);
        let keys = one.keys.clone();
        known.push(one);
        Some(keys)
    }

    fn old(&self, url: &str, now: Instant) -> Option<Arc<Fetched>> {
        let known = self.known.lock();
        let one = known.iter().find(|one| one.url == url)?;
        (now.saturating_duration_since(one.fetched) < STALE).then(|| one.keys.clone()).flatten()
    }

    fn fetched(&self, url: &str) -> Option<Instant> {
        self.known.lock().iter().find(|one| one.url == url).map(|one| one.fetched)
    }

    fn keep(&self, new: Known) {
        let mut known = self.known.lock();
        known.retain(|one| one.url != new.url);
        if known.len() >= KNOWN {
            known.remove(0);
        }
        known.push(new);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;
    use crate::signing::{JwtKeys, JwtScheme, Verify};

    const SET: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    #[derive(Default)]
    struct Server {
        asked: AtomicUsize,
        down: std::sync::atomic::AtomicBool,
    }

    impl Fetch for Server {
        fn fetch(&self, _: String) -> Fetching {
            self.asked.fetch_add(1, SeqCst);
            let down = self.down.load(SeqCst);
            Box::pin(async move {
                tokio::task::yield_now().await;
                if down { Err("it is down".to_owned()) } else { Ok(SET.into()) }
            })
        }
    }

    fn verifier() -> Verifier {
        Verifier::new(&Verify::Jwt(JwtScheme {
            keys: JwtKeys::Url("https://issuer.example/jwks.json".to_owned()),
            issuer: None,
            audience: "us".to_owned(),
            tolerance: Duration::ZERO,
        }))
    }

    #[tokio::test]
    async fn many_who_ask_share_one_fetch_and_the_next_comes_when_it_is_old() {
        let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
        let now = Instant::now();
        let ask = |at| keys.get("https://issuer.example/jwks.json", &verifier, &server, at);
        let all = futures_util::future::join_all((0..20).map(|_| ask(now))).await;
        assert!(all.iter().all(Option::is_some));
        assert_eq!(server.asked.load(SeqCst), 1);
        let later = now + verifier.age();
        assert!(ask(later).await.is_some());
        assert_eq!(server.asked.load(SeqCst), 2);
    }

    #[tokio::test]
    async fn while_the_server_is_down_the_old_keys_serve_for_a_day() {
        let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
        let now = Instant::now();
        let ask = |at| keys.get("https://issuer.example/jwks.json", &verifier, &server, at);
        assert!(ask(now).await.is_some());
        server.down.store(true, SeqCst);
        let later = now + verifier.age();
        assert!(ask(later).await.is_some(), "the old ones");
        assert!(ask(later + Duration::from_secs(1)).await.is_some());
        assert_eq!(server.asked.load(SeqCst), 2, "it is left alone for a while");
        assert!(ask(now + STALE + FAILED).await.is_none());
    }

    #[tokio::test]
    async fn whoever_names_ever_new_urls_has_few_of_them_fetched() {
        let (keys, server, verifier) = (Keys::default(), Server::default(), verifier());
        let now = Instant::now();
        for n in 0..100 {
            keys.get(&format!("https://issuer.example/{n}"), &verifier, &server, now).await;
        }
        assert_eq!(server.asked.load(SeqCst), 10);
        assert!(keys.known.lock().len() <= KNOWN);
    }
}
