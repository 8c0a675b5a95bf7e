//! Host names to addresses, at most one lookup of a name at a time.
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{FutureExt, Shared};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// A lookup in flight.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds a host's addresses.
pub trait Resolver: Send + Sync + 'static {
    /// Starts a lookup of the addresses of `host`, the preferred one first.
    fn resolve(&self, host: &str) -> Resolving;
}

/// The system's resolver, on tokio's threads for blocking work.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

type Found = Result<Arc<[IpAddr]>, Arc<io::Error>>;
type Answer = Shared<Pin<Box<dyn Future<Output = Found> + Send>>>;

/// Names that one client looks up at a time. A destination has one or two; what plugins
/// may ask, their grants name.
const MOST: usize = 64;

struct Pending {
    task: AbortHandle,
    answer: Answer,
}

/// Lookups of one client. All who ask for a name while it is looked up share the
/// answer: the system's resolver can't be stopped, and a name server that hangs must
/// not take all the threads for blocking work, however often and for however many
/// names it is asked.
pub(super) struct Lookup {
    resolver: Arc<dyn Resolver>,
    pending: Mutex<HashMap<String, Pending>>,
}

impl Lookup {
    pub(super) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, pending: Mutex::default() }
    }

    /// The addresses of a name, or the address itself where it is one.
    pub(super) async fn addresses(&self, host: &str) -> Found {
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = literal.unwrap_or(host).parse::<IpAddr>() {
            return Ok(Arc::new([address]));
        }
        self.join(host)?.await
    }

    fn join(&self, host: &str) -> Result<Answer, Arc<io::Error>> {
        let mut pending = self.pending.lock();
        pending.retain(|_, lookup| !lookup.task.is_finished());
        if let Some(same) = pending.get(host) {
            return Ok(same.answer.clone());
        }
        if pending.len() >= MOST {
            let why = format!("{MOST} other names are looked up, and none has an answer yet");
            return Err(Arc::new(io::Error::other(why)));
        }
        let started = self.start(host);
        let answer = started.answer.clone();
        pending.insert(host.to_owned(), started);
        Ok(answer)
    }

    /// In a task, so that it ends (and is seen to have ended) no matter which caller stops waiting.
    fn start(&self, host: &str) -> Pending {
        let lookup = tokio::spawn(self.resolver.resolve(host));
        let task = lookup.abort_handle();
        let answer = async move {
            let found = lookup.await.unwrap_or_else(|failed| Err(io::Error::other(failed)));
            found.map(Arc::from).map_err(Arc::new)
        };
        Pending { task, answer: answer.boxed().shared() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Gate {
        open: Arc<tokio::sync::Semaphore>,
        calls: AtomicUsize,
    }

    impl Resolver for Gate {
        fn resolve(&self, _: &str) -> Resolving {
            self.calls.fetch_add(1, Ordering::SeqCst);
            let open = Arc::clone(&self.open);
            Box::pin(async move {
                open.acquire().await.expect("never closed").forget();
                Ok(vec![IpAddr::from([192, 0, 2, 1])])
            })
        }
    }

    fn gate() -> Arc<Gate> {
        Arc::new(Gate {
            open: Arc::new(tokio::sync::Semaphore::new(0)),
            calls: AtomicUsize::new(0),
        })
    }

    #[tokio::test]
    async fn those_who_ask_together_share_one_lookup() {
        let gate = gate();
        let lookup = Lookup::new(Arc::clone(&gate) as Arc<dyn Resolver>);
        let asking = (0..8).map(|_| lookup.addresses("a.test"));
        let all = futures_util::future::join_all(asking);
        gate.open.add_permits(1);
        assert!(all.await.into_iter().all(|found| found.is_ok()));
        assert_eq!(gate.calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn one_who_gives_up_does_not_start_another_lookup() {
        let gate = gate();
        let lookup = Lookup::new(Arc::clone(&gate) as Arc<dyn Resolver>);
        for _ in 0..5 {
            assert!(lookup.addresses("a.test").now_or_never().is_none());
        }
        assert_eq!(gate.calls.load(Ordering::SeqCst), 1);
        gate.open.add_permits(2);
        lookup.addresses("a.test").await.expect("found");
        lookup.addresses("a.test").await.expect("found");
        assert_eq!(gate.calls.load(Ordering::SeqCst), 2, "an answer is not kept");
    }

    /// The fault: only the last name was remembered, so that plugins that asked for two by
    /// turns began a lookup with each request, and each held a thread.
    #[tokio::test]
    async fn regression_names_that_hang_hold_one_lookup_each() {
        let gate = gate();
        let lookup = Lookup::new(Arc::clone(&gate) as Arc<dyn Resolver>);
        for _ in 0..20 {
            for host in ["a.test", "b.test"] {
                assert!(lookup.addresses(host).now_or_never().is_none());
            }
        }
        assert_eq!(gate.calls.load(Ordering::SeqCst), 2);
        for number in 2..MOST {
            assert!(lookup.addresses(&format!("c{number}.test")).now_or_never().is_none());
        }
        let error = lookup.addresses("late.test").await.unwrap_err();
        assert!(error.to_string().starts_with("64 other names"), "{error}");
        assert!(lookup.addresses("192.0.2.7").await.is_ok(), "that is no name");
        gate.open.add_permits(MOST);
        lookup.addresses("a.test").await.expect("found");
    }
}
