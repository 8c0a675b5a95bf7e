//! Claim → sign → send → record: a lane for each destination, so that each harms only itself.
//!
//! A lane holds what is in flight and a small window of what is due now. All
//! else is in the store's rows: what does not fit the window is let go and read
//! again when there is room, so a backlog costs no memory.
mod attempt;
mod batch;
mod file;
mod flushes;
mod handle;
mod health;
mod inner;
mod kind;
mod known;
mod lane;
mod meter;
mod post;
mod rate;
mod settings;
mod signs;
mod slot;
mod split;
mod status;
mod switch;
mod tally;
mod together;
mod trial;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Uri};

pub use batch::{Batch, Format};
pub use file::{FILE_MODE, FileOptions, LinesOptions};
pub use handle::{Handle, start};
pub use health::Breaker;
pub use post::{Auth, Fill, OAuth2, PostOptions};
pub use rate::Rate;
pub use status::{Last, State, Status};
pub use trial::Trial;

use hookwright_egress::{Resolver, SetupError, SystemResolver};
use hookwright_model::Name;
use hookwright_model::retry::Policy;
use hookwright_signing::hops::Hops;
use hookwright_store::StoreError;
use hookwright_telemetry::traces::Spans;

/// Everything that delivery needs to know.
pub struct Options {
    pub destinations: HashMap<Name, DestinationOptions>,
    /// How many bytes of an answer's body are kept with the attempt. Default 4 KiB.
    pub excerpt: usize,
    /// How many bytes of due bodies are held in memory, shared out among the
    /// destinations: at most 4 MiB and at least 32 KiB for each. Default 128 MiB.
    pub window: usize,
    /// Default `hookwright/<version>`.
    pub user_agent: HeaderValue,
    /// Default: the system's.
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

/// What kind of destination it is.
#[derive(Clone)]
pub enum To {
    Post(Box<PostOptions>),
    Lines(LinesOptions),
}

/// One destination as the settings have it.
#[derive(Clone)]
pub struct DestinationOptions {
    pub to: To,
    /// `first` is for whoever makes the delivery, see [`Policy::first_due_ms`].
    pub policy: Policy,
    /// Default: as fast as `in_flight` allows.
    pub rate: Option<Rate>,
    /// Attempts at once, at least 1. Default 8.
    pub in_flight: usize,
    /// Many deliveries in one request; none: each in a request of its own.
    pub batch: Option<Batch>,
    /// Fewer at once, and a pause, where the destination has too much. Default true.
    pub adaptive: bool,
    /// Leaves the destination alone for a while where it fails; none: never.
    pub breaker: Option<Breaker>,
    /// Disables it after nothing but failures for so long; none: never. Default 5 days.
    pub disable_after: Option<Duration>,
    /// Keeps all deliveries waiting. Default false.
    pub disabled: bool,
}

impl DestinationOptions {
    /// The defaults for a URL; nothing is signed.
    pub fn new(url: Uri) -> Self {
        Self::to(To::Post(Box::new(PostOptions::new(url))))
    }

    /// The defaults for any kind.
    pub fn to(to: To) -> Self {
        Self {
            to,
            policy: Policy::default(),
            rate: None,
            in_flight: 8,
            batch: None,
            adaptive: true,
            breaker: Some(Breaker::default()),
            disable_after: Some(Duration::from_secs(5 * 24 * 3_600)),
            disabled: false,
        }
    }
}

/// What is wrong with one destination's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("destination `{destination}`: {problem}")]
pub struct SettingsError {
    pub destination: Name,
    pub problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Client(#[from] SetupError),
    #[error("the header `{0}` is set by Hookwright itself; remove it from `headers`")]
    Header(String),
}

/// Why delivery did not start, or did not take new settings.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<SettingsError>),
    #[error("which destinations are disabled or paused could not be read: {0}")]
    Store(#[from] StoreError),
}

/// Why a destination was not enabled or disabled.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SwitchError {
    #[error("there is no destination `{0}` in the settings")]
    Unknown(String),
    #[error("`{destination}` is disabled in the settings; remove `disabled = true` there")]
    BySettings { destination: Name },
    #[error("the change holds until the next start only, because it was not written down: {0}")]
    Store(#[from] StoreError),
}
