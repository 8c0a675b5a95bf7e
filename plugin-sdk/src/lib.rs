//! Write a Hookwright plugin: one function from an event to a verdict.
//!
//! ```
//! use hookwright_plugin::prelude::*;
//!
//! /// `config = { keep = ["push"] }` in hookwright.toml.
//! #[config]
//! struct Config {
//!     /// The kinds of events that are handed on.
//!     keep: Vec<String>,
//! }
//!
//! #[plugin]
//! fn handle(event: Event, config: &Config) -> Result<Verdict> {
//!     if !config.keep.iter().any(|kind| kind == event.kind()) {
//!         return Ok(Verdict::drop("not among the kinds to keep"));
//!     }
//!     // The host looks values up; the body is not even copied here.
//!     match event.pointer("/repository/private") {
//!         Some(private) if private.raw() == "true" => Ok(Verdict::deliver(["internal"])),
//!         _ => Ok(Verdict::pass()),
//!     }
//! }
//! ```
//!
//! `hookwright plugin new` begins a project with this crate in it, `cargo test`
//! runs its tests without Wasm, and `hookwright plugin build` makes the
//! component. The crate's README is the five-minute guide.
//!
//! # What to know
//! - **Settings** are read once. What is worth compiling (expressions, tables)
//!   goes into a type with [`Prepare`]: every event starts from its result.
//! - **Every event is alone.** It gets a fresh copy of what `Prepare` left;
//!   what a call stores is gone after it. Time, memory and output are capped.
//! - **Bytes stay exact.** A body that you don't change leaves as it came;
//!   [`Event::edit_json`] changes parts of it and keeps every other byte.
//! - **Only the host knows** URLs, keys and secrets: a plugin names destinations.
//! - **What outlives an event** is kept by the host: see [`kv`]. Requests to
//!   other hosts are made by it, too: see [`http`]; and [`responder`] answers
//!   the source. Each wants a grant in the plugin's settings.
//! - **There is no world around it**: no files, no network, no environment. On
//!   `wasm32-unknown-unknown` `SystemTime::now()` panics; use
//!   [`Event::received_ms`].
//! - **Errors say what the host does**: [`Error::retry`], [`Error::reject`],
//!   [`Error::other`]; `?` makes any other error the last. A panic counts as
//!   the last too, and its text is in the host's log.
//!
//! # Features
//! - `bump` (default): an allocator for instances that live for one event. It
//!   starts with 640 KiB and gives memory back only at the end, so an instance
//!   seldom grows its memory, which is what costs most. Without it: Rust's own.
//! - `conditions`: conditions as settings write them, and `regex` with it.
#![warn(missing_docs)]

// The attributes name this crate as its users do.
extern crate self as hookwright_plugin;

#[cfg(all(target_arch = "wasm32", feature = "bump"))]
mod arena;
#[cfg(feature = "conditions")]
pub mod conditions;
mod error;
mod event;
pub mod fields;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod http;
pub mod json;
pub mod kv;
pub mod log;
mod plugin;
pub mod responder;
mod settings;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod verdict;

pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use hookwright_plugin_macros::{config, plugin};
#[doc(hidden)]
pub use plugin::Plugin;
pub use schemars;
pub use serde;
pub use serde_json;
#[doc(hidden)]
pub use settings::NoConfig;
pub use settings::{ConfigError, Prepare};
pub use verdict::{Amendment, Delivery, HeaderEdit, Verdict};

/// The README's examples are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// All that most plugins need.
pub mod prelude {
    pub use crate::{
        Amendment, ConfigError, Delivery, Error, Event, Prepare, Result, Verdict, bail, config,
        debug, error, info, plugin, trace, warn,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}
