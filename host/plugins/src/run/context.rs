//! What a guest begins an event with, and what its grants allow it.
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::Store;

use crate::run::call::{Call, CallMode};
use crate::run::code::Code;
use crate::run::guest::Guest;
use crate::run::instance;
use crate::run::kv::{Changes, Keyspace};
use crate::run::log::Log;
use crate::run::network::NetworkPolicy;
use crate::run::wasi::Wasi;
use hookwright_model::EventId;
use hookwright_model::plugin::Limits;

/// What a version's calls have beyond their events, by its grants and settings.
#[derive(Clone, Default)]
pub(crate) struct Capabilities {
    /// Its state.
    pub(crate) space: Option<Arc<Keyspace>>,
    /// The hosts that it may ask.
    pub(crate) network: Option<NetworkPolicy>,
    /// It may answer the source.
    pub(crate) responds: bool,
}

impl Capabilities {
    /// Without a way out of the host where the call decides nothing.
    fn restricted(&self, mode: CallMode) -> Self {
        let mut capabilities = self.clone();
        if mode != CallMode::Decide {
            capabilities.network = self.network.as_ref().map(NetworkPolicy::offline);
        }
        capabilities
    }
}

/// What a guest begins an event with.
pub(crate) struct RunContext {
    pub(crate) code: Arc<Code>,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<Log>,
    capabilities: Capabilities,
    mode: CallMode,
    body: Bytes,
    id: EventId,
    received_ms: u64,
}

impl RunContext {
    pub(crate) fn new(
        code: &Arc<Code>,
        limits: &Limits,
        capabilities: &Capabilities,
        call: &Call<'_>,
        log: &Arc<Log>,
    ) -> Self {
        Self {
            code: code.clone(),
            limits: *limits,
            log: log.clone(),
            capabilities: capabilities.restricted(call.mode),
            mode: call.mode,
            body: call.body.clone(),
            id: call.event.id,
            received_ms: call.event.received_ms(),
        }
    }

    pub(crate) fn guest(&self) -> Guest {
        let mut guest = Guest::new(&self.limits, self.log.clone(), self.body.clone());
        if self.code.wants_wasi {
            let seed = (self.id.row().cast_unsigned(), self.id.node());
            guest.wasi = Some(Box::new(Wasi::new(self.received_ms, seed, &self.log)));
        }
        let capabilities = &self.capabilities;
        let apart = self.mode == CallMode::Preview;
        guest.changes =
            capabilities.space.clone().map(|space| Box::new(Changes::new(space, apart)));
        guest.network = capabilities.network.clone();
        guest.selections = Some(self.code.selections.clone());
        guest.replies = capabilities.responds.then_some(None);
        guest
    }

    pub(crate) fn store(&self) -> Store<Guest> {
        instance::store(self.code.engine(), self.guest(), self.limits.output)
    }
}
