//! The seam behind which deliveries leave: what a kind of destination has to do.
use std::future::Future;
use std::pin::Pin;

use tokio::time::Instant;

use hookwright_model::{Delivery, Outcome};
use hookwright_telemetry::traces::Server;

pub(super) type Sending<'s> = Pin<Box<dyn Future<Output = Outcome> + Send + 's>>;
pub(super) type Closing<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// One destination, made from its settings. Everything else is the same for
/// all kinds and not known here: when to send, how often, in which order, and
/// what becomes of a failure.
///
/// Its life: new settings make a new one, while the one before finishes what it
/// has begun; so two of one destination may be at work at the same time, and
/// what they share (connections, the writer of a file) is kept by whoever makes
/// them. One is dropped after its last attempt; only at the host's end it is
/// told to close.
pub(super) trait Kind: Send + Sync {
    /// Connects where it must, sends one delivery once, and says what came of
    /// it. Never fails otherwise than by its outcome, and ends by itself. May be
    /// dropped at any point: the delivery is sent again then.
    fn send<'s>(&'s self, delivery: &'s Delivery, at_ms: u64) -> Sending<'s>;

    /// When what proves who we are may work again, where it does not now and
    /// that is known.
    fn rests_until(&self) -> Option<Instant> {
        None
    }

    /// Where it connects to, for traces; none where it does not.
    fn server(&self) -> Option<&Server> {
        None
    }

    /// Whether it takes deliveries without a status ([`Outcome::Taken`]).
    fn takes_silently(&self) -> bool {
        false
    }

    /// No attempt is under way any more. Ends once nothing that an attempt began
    /// goes on behind it; dropped at the host's deadline.
    fn close(&self) -> Closing<'_> {
        Box::pin(std::future::ready(()))
    }
}
