//! Claim → sign → send → record: a lane for each destination, so that each harms only itself.
//!
//! A lane holds what is in flight and a small window of what is due now. All
//! else is in the store's rows: what does not fit the window is let go and read
//! again when there is room, so a backlog costs no memory. Where deliveries go is
//! a kind of destination's to know, behind one seam (`kinds`).
#![deny(missing_docs)]

mod attempt;
mod batch;
mod control;
mod handle;
mod health;
mod history;
mod inner;
mod kinds;
mod known;
mod lane;
mod meter;
mod pacing;
mod permit;
mod rate;
mod settings;
mod signal;
mod split;
mod status;
mod switch;
mod together;
mod trial;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderValue;

pub use handle::{Handle, start};
pub use status::{Last, State, Status};
pub use trial::Trial;

use hookwright_egress::{Resolver, SetupError, SystemResolver};
use hookwright_model::Name;
use hookwright_settings::Destination;
use hookwright_signing::hops::Hops;
use hookwright_store::StoreError;
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

/// What is wrong with one destination's settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("destination `{destination}`: {problem}")]
pub struct SettingsError {
    /// Which one.
    pub destination: Name,
    /// What is wrong.
    pub problem: Problem,
}

/// Why a destination can't be made from its settings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its HTTP client can't be made.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// A header of this name is not for the settings to set.
    #[error("the header `{0}` is set by Hookwright itself; remove it from `headers`")]
    Header(String),
}

/// Why delivery did not start, or did not take new settings.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StartError {
    /// All that is wrong with the settings, by destination.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Settings(Vec<SettingsError>),
    /// The store could not be read.
    #[error("which destinations are disabled or paused could not be read: {0}")]
    Store(#[from] StoreError),
}

/// Why a destination was not enabled or disabled.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SwitchError {
    /// No destination has this name.
    #[error("there is no destination `{0}` in the settings")]
    Unknown(String),
    /// The settings disable it.
    #[error("`{destination}` is disabled in the settings; remove `disabled = true` there")]
    BySettings {
        /// Which one.
        destination: Name,
    },
    /// The store did not keep the change.
    #[error("the change holds until the next start only, because it was not written down: {0}")]
    Store(#[from] StoreError),
}
