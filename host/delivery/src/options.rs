//! What delivery is started with.
use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

use hookwright_egress::{Resolver, SystemResolver};
use hookwright_model::Name;
use hookwright_settings::Destination;
use hookwright_signing::hops::Hops;
use hookwright_telemetry::traces::Spans;

/// Everything that delivery needs to know.
pub struct Options {
    /// All of them, by name.
    pub destinations: HashMap<Name, Destination>,
    /// How many bytes of an answer's body are kept with the attempt. Default 4 KiB.
    pub excerpt: usize,
    /// How many bytes of due bodies are held in memory, shared out among the
    /// destinations: at most 4 MiB and at least 32 KiB for each. Default 128 MiB.
    pub window: usize,
    /// The header of that name. Default `hookwright/<version>`.
    pub user_agent: HeaderValue,
    /// Resolves names of hosts. Default: the system's.
    pub resolver: Arc<dyn Resolver>,
    /// Tells how often an event has come back. Default: nothing does.
    pub hops: Option<Arc<Hops>>,
    /// Takes the spans of attempts. Default: nothing does.
    pub traces: Option<Arc<Spans>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            destinations: HashMap::new(),
            excerpt: 4 * 1024,
            window: 128 * 1024 * 1024,
            user_agent: HeaderValue::from_static(concat!("hookwright/", env!("CARGO_PKG_VERSION"))),
            resolver: Arc::new(SystemResolver),
            hops: None,
            traces: None,
        }
    }
}
