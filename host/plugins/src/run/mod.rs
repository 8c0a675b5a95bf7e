//! Running a plugin: one call from the event to the verdict, within its limits.
//!
//! It holds the engine, the data of a guest, the interfaces that a guest may import (`worlds`, `wasi`), and
//! the slow lane for calls that take long. `build` runs a component to set it up and to probe it, `version` runs it
//! for events; nothing here knows of files, settings or other versions.
mod answer;
pub(crate) mod bindings;
mod call;
mod code;
mod context;
pub(crate) mod engine;
mod execute;
mod fault;
mod guest;
mod headers;
pub(crate) mod instance;
mod kv;
mod log;
mod meter;
mod network;
mod pool;
mod runtime;
mod selections;
pub(crate) mod slow;
mod ticks;
mod verdict;
mod wasi;
mod worlds;

pub use answer::Answer;
pub use call::{Call, CallMode};
pub(crate) use code::{Code, Linkers};
pub(crate) use context::Capabilities;
pub(crate) use execute::{Setup, call};
pub use fault::Fault;
pub(crate) use fault::{FailedCall, explain};
pub(crate) use guest::Guest;
pub(crate) use kv::Keyspace;
pub use kv::{Changes, State};
pub(crate) use log::Log;
pub(crate) use network::NetworkPolicy;
pub use network::{Fetch, FetchError, Fetching, Incoming, Outgoing, check_grant, check_url};
pub(crate) use pool::{KEPT_INSTANCES, Pool};
pub(crate) use runtime::{BACKGROUND, Permit, SharedRuntime};
pub(crate) use slow::{LaneHint, SlowLane};
pub(crate) use ticks::Ticker;
pub use verdict::{Amendment, Target, Verdict};
pub(crate) use wasi::Wasi;
