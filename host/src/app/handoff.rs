//! Hands what the store made durable to the stage that is next.
use std::sync::{Arc, OnceLock};

use hookwright_model::{Delivery, Event};
use hookwright_routing::Router;
use hookwright_store::Handoff;

/// The stages start after the store. What it hands on before that is in the
/// rows, where they begin.
#[derive(Default)]
pub(super) struct Handoffs {
    router: OnceLock<Router>,
    delivery: OnceLock<hookwright_delivery::Handle>,
}

impl Handoffs {
    pub(super) fn router(&self, router: Router) {
        let _ = self.router.set(router);
    }

    pub(super) fn delivery(&self, delivery: hookwright_delivery::Handle) {
        let _ = self.delivery.set(delivery);
    }
}

impl Handoff for Handoffs {
    fn durable(&self, events: Vec<Arc<Event>>) {
        if let Some(router) = self.router.get() {
            router.accepted(events);
        }
    }

    fn ready(&self, deliveries: Vec<Delivery>) {
        if let Some(delivery) = self.delivery.get() {
            delivery.ready(deliveries);
        }
    }

    fn wake(&self) {
        if let Some(router) = self.router.get() {
            router.wake();
        }
    }
}
