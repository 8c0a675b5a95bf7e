//! The store on PostgreSQL passes what every engine passes.
#![allow(clippy::unwrap_used)] // Its helpers are tests too.
use std::sync::Arc;

use hookwright_model::clock::Clock;
use hookwright_store::{Handoff, Store};
use hookwright_store_conformance::{End, Engine};
use hookwright_store_postgres::{Options, open};
use hookwright_testpostgres::Server;

struct InSchema {
    url: String,
    store: Arc<dyn Store>,
}

impl InSchema {
    fn at(url: String, clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        let options =
            Options { url: url.clone(), clock, tls: None, node: "test".into(), instance: [1; 16] };
        Self { url, store: Arc::new(open(options, handoff).unwrap()) }
    }
}

impl Engine for InSchema {
    fn open(clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        Self::at(Server::shared().schema(), clock, handoff)
    }

    fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// A crash drops the store, and with it all that it has under way.
    async fn reopen(self, end: End, clock: Clock, handoff: Arc<dyn Handoff>) -> Self {
        if end == End::Orderly {
            self.store.close().await.unwrap();
        }
        let Self { url, store } = self;
        drop(store);
        Self::at(url, clock, handoff)
    }
}

hookwright_store_conformance::suite!(InSchema);
