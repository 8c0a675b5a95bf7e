//! The ingress over real sockets, before a store in memory.
mod accepts;
mod access;
mod fetched;
mod measures;
mod refuses;
mod server_kit;
mod store;
mod strangers;
mod trouble;
mod watching;

use std::sync::Arc;

use self::store::MemoryStore;
use super::{Handle, Options, SourceOptions, Sources};
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use server_kit::kit::Running;

/// The clock of all tests, milliseconds since 1970.
const NOW: u64 = 1_614_265_330_000;

struct Ingress {
    server: Running,
    store: Arc<MemoryStore>,
    handle: Handle,
}

/// Serves one source, `s`.
fn serve(source: SourceOptions) -> Ingress {
    serve_with(sources([("s", source)]), |_| {})
}

fn serve_with(sources: Sources, adjust: impl FnOnce(&mut Options)) -> Ingress {
    let mut options = Options::new(sources);
    adjust(&mut options);
    let store = Arc::new(MemoryStore::default());
    let handle = Handle::new(options, store.clone(), Replies::default(), Clock::manual(NOW));
    let server = Running::start(hookwright_server::Options::new("ingress"), handle.clone());
    Ingress { server, store, handle }
}

fn sources<const N: usize>(sources: [(&str, SourceOptions); N]) -> Sources {
    sources.into_iter().map(|(name, source)| (name.parse().unwrap(), source)).collect()
}
