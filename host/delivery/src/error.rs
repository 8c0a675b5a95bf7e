//! Why delivery did not start, did not take new settings, or did not switch a destination.
use hookwright_egress::SetupError;
use hookwright_model::Name;
use hookwright_store::StoreError;

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
