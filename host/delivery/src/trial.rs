//! What `check` asks before anything runs: whether a destination's client can be made.
use std::sync::Arc;

use super::post::{Post, Shared};
use super::{Options, Problem};
use hookwright_egress::Egress;
use hookwright_model::Name;
use hookwright_settings::{Destination, To};

/// Makes clients as delivery does, and lets them go.
pub struct Trial {
    egress: Egress,
    options: Options,
}

impl Default for Trial {
    fn default() -> Self {
        let options = Options::default();
        Self { egress: Egress::new(Arc::clone(&options.resolver)), options }
    }
}

impl Trial {
    /// # Errors
    /// What is wrong with the settings.
    pub fn make(&self, name: &Name, options: &Destination) -> Result<(), Problem> {
        let To::Post(post) = &options.to else { return Ok(()) };
        let shared = Shared {
            egress: &self.egress,
            excerpt: self.options.excerpt,
            user_agent: &self.options.user_agent,
            hops: None,
            traces: None,
        };
        let in_flight = options.in_flight.max(1);
        Post::new(name, post.as_ref().clone(), in_flight, &shared, None).map(drop)
    }
}
