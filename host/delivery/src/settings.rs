//! One destination's settings, made ready for use.
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::Problem;
use super::file::{Lines, Places};
use super::health::Care;
use super::kind::Kind;
use super::post::{Post, Shared};
use hookwright_egress::Egress;
use hookwright_model::retry::Policy;
use hookwright_model::{Name, Rate};
use hookwright_settings::{Batch, Destination, To};
use hookwright_signing::hops::Hops;
use hookwright_telemetry::traces::Spans;

pub(super) struct Settings {
    pub(super) kind: Arc<dyn Kind>,
    /// The same, where it is HTTP.
    post: Option<Arc<Post>>,
    pub(super) policy: Policy,
    pub(super) batch: Option<Batch>,
    pub(super) care: Care,
    pub(super) disable_after: Option<Duration>,
    pub(super) rate: Option<Rate>,
    pub(super) disabled: bool,
}

/// What all destinations have in common.
pub(super) struct Maker {
    pub(super) egress: Egress,
    pub(super) places: Places,
    pub(super) excerpt: usize,
    pub(super) user_agent: HeaderValue,
    pub(super) hops: Option<Arc<Hops>>,
    pub(super) traces: Option<Arc<Spans>>,
}

impl Maker {
    /// Keeps the client, and with it the open connections, of settings before
    /// these that lead to the same place in the same way; a file or standard
    /// output keeps its writer.
    pub(super) fn make(
        &self,
        name: &Name,
        options: Destination,
        before: Option<&Settings>,
    ) -> Result<Settings, Problem> {
        let in_flight = options.in_flight.max(1);
        let shared = Shared {
            egress: &self.egress,
            excerpt: self.excerpt,
            user_agent: &self.user_agent,
            hops: self.hops.as_ref(),
            // A request with many events is under none of them.
            traces: self.traces.as_ref().filter(|_| options.batch.is_none()),
        };
        let before = before.and_then(|before| before.post.as_deref());
        let (kind, post): (Arc<dyn Kind>, _) = match options.to {
            To::Lines(lines) => (Arc::new(Lines::new(lines, &self.places)), None),
            To::Post(post) => {
                let post = Arc::new(Post::new(name, *post, in_flight, &shared, before)?);
                (post.clone(), Some(post))
            }
        };
        Ok(Settings {
            kind,
            post,
            policy: options.policy,
            batch: options.batch,
            care: Care { breaker: options.breaker, adaptive: options.adaptive, in_flight },
            disable_after: options.disable_after,
            rate: options.rate,
            disabled: options.disabled,
        })
    }
}
