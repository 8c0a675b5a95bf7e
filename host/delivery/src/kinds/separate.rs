//! Many deliveries at once over a kind that has no message for many of them.
use futures_util::future::join_all;

use super::{Kind, Packed, Responses, SendingMany};
use hookwright_model::Delivery;

/// Sends each delivery by itself, all of them at the same time.
pub(crate) struct Separate<'s> {
    kind: &'s dyn Kind,
    deliveries: &'s [Delivery],
}

impl<'s> Separate<'s> {
    pub(crate) fn new(kind: &'s dyn Kind, deliveries: &'s [Delivery]) -> Self {
        Self { kind, deliveries }
    }
}

impl Packed for Separate<'_> {
    fn size(&self, place: usize) -> usize {
        self.deliveries.get(place).map_or(0, |delivery| delivery.body().len())
    }

    fn send<'s>(&'s self, places: &'s [usize], at_ms: u64) -> SendingMany<'s> {
        Box::pin(async move {
            let sending =
                places.iter().map(|place| self.kind.send(&self.deliveries[*place], at_ms));
            Responses::Each(join_all(sending).await)
        })
    }
}
