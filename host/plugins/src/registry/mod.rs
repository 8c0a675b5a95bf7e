//! The registry: all plugins of the host, by name, and how their versions change.
//!
//! A file is read and stamped, built or found in the cache, and its version takes over by one pointer; the watch
//! over the directory does it again when a file changes. [`Plugins`] is the face that the rest of the host uses.
mod code_store;
mod entry;
mod loader;
mod options;
mod pinned;
mod plugins;
mod set;
mod stamp;
mod table;
mod watch;

pub use entry::{CandidateStatus, Status};
pub use loader::LoadError;
pub use options::Options;
pub use pinned::Pinned;
pub use plugins::{OpenError, Plugins};
pub use set::{LoadReport, Prepared, ReconfigureError};
