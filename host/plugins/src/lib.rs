//! Plugins: the engine, its limits, the gate, the directory watch and the swap.
mod bindings;
mod build;
mod cache;
mod call;
mod code;
mod compile;
mod engine;
mod entry;
mod fault;
mod gate;
mod hands;
mod health;
mod host;
mod http;
mod kv;
pub mod limits;
mod loader;
mod log;
mod pinned;
mod registry;
mod report;
mod responder;
mod schema;
mod slow;
mod snapshot;
mod spec;
mod strikes;
mod ticks;
mod trial;
mod verdict;
mod version;
mod waits;
mod warm;
mod wasi;
mod watch;

#[cfg(test)]
pub(crate) mod tests;

pub use cache::CacheError;
pub use call::{Aim, Answer, Call};
pub use compile::{Compiler, compile_child_main};
pub use entry::{CandidateStatus, Status};
pub use fault::Fault;
pub use gate::{GateError, inspect};
pub use hands::{Hands, HandsError, Suspect};
pub use health::{Quarantine, Quarantined};
pub use http::{Fetch, FetchError, Fetching, Incoming, Outgoing, check_grant, check_url};
pub use kv::{Changes, State};
pub use limits::{HTTP_BODY, Limits};
pub use loader::LoadError;
pub use pinned::Pinned;
pub use registry::{LoadReport, OpenError, Plugins, Prepared, ReconfigureError};
pub use report::{About, ConfigIssue, Report, Shape, Sketch};
pub use spec::{Candidate, Options, Spec};
pub use trial::{Mode, Tally};
pub use verdict::{Amendment, Target, Verdict};
pub use warm::Warm;

/// Takes a component through the whole gate without putting it in force.
///
/// # Errors
/// What stands against it.
pub async fn check(
    compiler: &Compiler,
    spec: &Spec,
    wasm: bytes::Bytes,
) -> Result<Report, GateError> {
    compiler.build(build::Job::new(spec), wasm).await.map(|built| built.report)
}

/// Takes a component through the first steps of the gate only: it says what it is.
///
/// # Errors
/// What stands against it.
pub async fn sketch(
    compiler: &Compiler,
    spec: &Spec,
    wasm: bytes::Bytes,
) -> Result<Sketch, GateError> {
    compiler.sketch(build::Job::new(spec), wasm).await
}
