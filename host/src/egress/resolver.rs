//! Host names to addresses, at most one look-up for a destination at a time.
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{FutureExt, Shared};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds a host's addresses.
pub trait Resolver: Send + Sync + 'static {
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

struct Pending {
    host: String,
    task: AbortHandle,
    answer: Answer,
}

/// Look-ups for one destination. All who ask while one is under way share its
/// answer: the system's resolver can't be stopped, and a destination whose name
/// server hangs must not take all the threads for blocking work.
pub(super) struct LookUp {
    resolver: Arc<dyn Resolver>,
    pending: Mutex<Option<Pending>>,
}

impl LookUp {
    pub(super) fn new(resolver: Arc<dyn Resolver>) -> Self {
        Self { resolver, pending: Mutex::new(None) }
    }

    /// The addresses of a name, or the address itself where it is one.
    pub(super) async fn addresses(&self, host: &str) -> Found {
        let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Ok(address) = literal.unwrap_or(host).parse::<IpAddr>() {
            return Ok(Arc::new([address]));
        }
        self.join(host).await
    }

    fn join(&self, host: &str) -> Answer {
        let mut pending = self.pending.lock();
        match &*pending {
            Some(same) if same.host == host && !same.task.is_finished() => same.answer.clone(),
            _ => pending.insert(self.start(host)).answer.clone(),
        }
    }

    /// In a task, so that it ends (and is seen to have ended) whoever stops waiting.
    fn start(&self, host: &str) -> Pending {
        let look_up = tokio::spawn(self.resolver.resolve(host));
        let task = look_up.abort_handle();
        let answer = async move {
            let found = look_up.await.unwrap_or_else(|failed| Err(io::Error::other(failed)));
            found.map(Arc::from).map_err(Arc::new)
        };
        Pending { host: host.to_owned(), task, answer: answer.boxed().shared() }
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
    async fn those_who_ask_together_share_one_look_up() {
        let gate = gate();
        let look_up = LookUp::new(Arc::clone(&gate) as Arc<dyn Resolver>);
        let asking = (0..8).map(|_| look_up.addresses("a.test"));
        let all = futures_util::future::join_all(asking);
        gate.open.add_permits(1);
        assert!(all.await.into_iter().all(|found| found.is_ok()));
        assert_eq!(gate.calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn one_who_gives_up_does_not_start_another_look_up() {
        let gate = gate();
        let look_up = LookUp::new(Arc::clone(&gate) as Arc<dyn Resolver>);
        for _ in 0..5 {
            assert!(look_up.addresses("a.test").now_or_never().is_none());
        }
        assert_eq!(gate.calls.load(Ordering::SeqCst), 1);
        gate.open.add_permits(2);
        look_up.addresses("a.test").await.expect("found");
        look_up.addresses("a.test").await.expect("found");
        assert_eq!(gate.calls.load(Ordering::SeqCst), 2, "an answer is not kept");
    }
}
