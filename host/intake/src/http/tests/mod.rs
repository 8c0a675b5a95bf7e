//! The intake over real sockets, in front of a store in memory.
mod accepts;
mod access;
mod fetched;
mod measures;
mod refuses;
mod server_kit;
mod strangers;
mod trouble;
mod watching;

use std::sync::Arc;

use super::{Handle, Options, Sources};
use crate::Intake;
use crate::tests::store::{FaultyStore, NOW};
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_settings::EndpointOptions;
use server_kit::kit::Running;

/// The settings of the service and of the intake behind it.
struct Setup {
    http: Options,
    intake: crate::Options,
}

struct Ingress {
    server: Running,
    store: Arc<FaultyStore>,
    handle: Handle,
}

/// Serves one source, `s`.
fn serve(source: impl Into<EndpointOptions>) -> Ingress {
    serve_with(sources([("s", source)]), |_| {})
}

fn serve_with(sources: Sources, adjust: impl FnOnce(&mut Setup)) -> Ingress {
    let mut setup = Setup { http: Options::new(sources), intake: crate::Options::default() };
    adjust(&mut setup);
    let store = Arc::new(FaultyStore::default());
    let intake = Intake::new(setup.intake, store.clone());
    let handle = Handle::new(setup.http, intake, Replies::default(), Clock::manual(NOW));
    let server = Running::start(hookwright_server::Options::new("ingress"), handle.clone());
    Ingress { server, store, handle }
}

fn sources<S: Into<EndpointOptions>, const N: usize>(sources: [(&str, S); N]) -> Sources {
    sources.into_iter().map(|(name, source)| (name.parse().unwrap(), source.into())).collect()
}
