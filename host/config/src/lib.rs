//! The settings of `hookwright.toml`: read once, checked whole, all mistakes reported together.
//!
//! The file becomes a tree that knows its places (`tree`), variables are laid
//! over it (`overrides`), and one typed pass reads it (`reader`, `setting`, `kind`). The
//! same pass over an empty tree makes the reference page (`reference`).
#![deny(missing_docs)]
mod access;
mod admin;
mod alerts;
mod answer;
mod checks;
mod claims;
mod config;
mod destination;
mod host;
mod kind;
mod load;
mod mistake;
mod overrides;
mod place;
mod plugin;
mod reader;
mod reference;
mod render;
mod secret;
mod setting;
mod source;
mod sources;
#[cfg(test)]
mod tests;
mod traces;
mod tree;
mod unit;
mod validate;
mod values;
mod verify;
mod written;

pub use admin::AdminConfig;
pub use alerts::{AlertsConfig, OWN_SOURCES, PagerDutyConfig};
pub use config::Config;
pub use host::{
    DeliveryConfig, EngineConfig, IngressConfig, LogConfig, LogFormat, LogLevel, StoreConfig,
};
pub use load::{reference, sample};
pub use mistake::{Excerpt, Mistake, Mistakes, Place};
pub use plugin::{PluginConfig, parse_grant};
pub use source::SourceConfig;
pub use sources::{Prints, ReadFile, Seen, Sources, print_of};
pub use traces::TracesConfig;
pub use unit::{parse_duration, parse_size, print_duration};
pub use values::Changed;
pub use written::Written;
