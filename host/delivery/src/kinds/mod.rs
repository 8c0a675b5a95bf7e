//! The kinds of destinations, each in a folder of its own, and the seam that they implement.
//!
//! Everything that is the same for all kinds is not known here: when to send, how
//! often, in which order, and what becomes of a failure. What a new kind needs, step by
//! step, is in ARCHITECTURE.md.
pub(super) mod file;
pub(super) mod http;
mod separate;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use ::http::HeaderValue;

pub(super) use separate::Separate;

use self::file::Places;
use super::error::Problem;
use super::options::Options;
use hookwright_egress::Egress;
use hookwright_model::{Delivery, Name, Response};
use hookwright_settings::{Batch, To};
use hookwright_signing::hops::Hops;
use hookwright_telemetry::traces::{Server, Spans};

/// The table of kinds: what makes a destination of each target.
pub(super) fn factory(to: &To) -> &dyn Factory {
    match to {
        To::Post(options) => &**options,
        To::Lines(options) => options,
    }
}

/// Makes a destination from its settings. The settings of each kind implement it.
pub(super) trait Factory {
    /// `before` is the same destination under the settings before these: what
    /// both would hold alike (connections, tokens) is taken over from it, and it
    /// finishes what it has begun.
    ///
    /// # Errors
    /// What is wrong with the settings.
    fn make(
        &self,
        lane: &LaneOptions<'_>,
        environment: &Environment,
        before: Option<&dyn Kind>,
    ) -> Result<Arc<dyn Kind>, Problem>;
}

/// What a kind may know of the lane that sends.
pub(super) struct LaneOptions<'l> {
    pub(super) name: &'l Name,
    /// Attempts at once, at the most.
    pub(super) in_flight: usize,
    /// Many deliveries in one message; none: each in a message of its own.
    pub(super) batch: Option<&'l Batch>,
}

/// What all destinations of the host share.
pub(super) struct Environment {
    pub(super) egress: Egress,
    pub(super) places: Places,
    /// Bytes of an answer's body that are kept with the attempt.
    pub(super) excerpt: usize,
    pub(super) user_agent: HeaderValue,
    pub(super) hops: Option<Arc<Hops>>,
    pub(super) traces: Option<Arc<Spans>>,
}

impl Environment {
    pub(super) fn new(options: Options) -> Self {
        Self {
            egress: Egress::new(options.resolver),
            places: Places::default(),
            excerpt: options.excerpt,
            user_agent: options.user_agent,
            hops: options.hops,
            traces: options.traces,
        }
    }
}

/// What [`Kind::send`] answers.
pub(super) type Sending<'s> = Pin<Box<dyn Future<Output = Response> + Send + 's>>;
/// What [`Packed::send`] answers.
pub(super) type SendingMany<'s> = Pin<Box<dyn Future<Output = Responses> + Send + 's>>;
/// What [`Kind::close`] answers.
pub(super) type Closing<'s> = Pin<Box<dyn Future<Output = ()> + Send + 's>>;

/// One destination, made from its settings by a [`Factory`].
///
/// Its life: new settings make a new one, while the one before finishes what it
/// has begun; so two of one destination may be at work at the same time, and
/// what they share (connections, the writer of a file) is kept by the factory.
/// One is dropped after its last attempt; only at the host's end it is told to
/// close.
pub(super) trait Kind: Any + Send + Sync {
    /// Connects where it must, sends one delivery once, and says what came of
    /// it, in no protocol's terms. Never fails otherwise than by its response, and
    /// ends by itself. May be dropped at any point: the delivery is sent again then.
    fn send<'s>(&'s self, delivery: &'s Delivery, at_ms: u64) -> Sending<'s>;

    /// Makes many deliveries of one source ready to leave together. None: the
    /// kind has no message for many, and each is sent by itself ([`Separate`]).
    fn pack<'s>(&'s self, _deliveries: &'s [Delivery]) -> Option<Box<dyn Packed + 's>> {
        None
    }

    /// Where it connects to, for traces; none where it does not.
    fn server(&self) -> Option<&Server> {
        None
    }

    /// Whether it accepts deliveries without a status ([`hookwright_model::Outcome::Accepted`]).
    fn accepts_without_status(&self) -> bool {
        false
    }

    /// No attempt is in flight any more. Ends once nothing that an attempt began
    /// continues behind it; dropped at the host's deadline.
    fn close(&self) -> Closing<'_> {
        Box::pin(std::future::ready(()))
    }
}

/// Deliveries that were made ready once and are sent together, all of them or,
/// where that fails, parts of them. Named by their places among the packed ones.
pub(super) trait Packed: Send + Sync {
    /// Bytes that the delivery at this place adds to a message.
    fn size(&self, place: usize) -> usize;

    /// Sends the deliveries at these places, at least one. The rest is as for [`Kind::send`].
    fn send<'s>(&'s self, places: &'s [usize], at_ms: u64) -> SendingMany<'s>;
}

/// What came of deliveries that were sent together.
pub(super) enum Responses {
    /// All of them met the same: they were one message.
    Whole(Response),
    /// A response for each, in the order of their places.
    Each(Vec<Response>),
}
