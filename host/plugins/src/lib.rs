//! Plugins: the engine, its limits, the gate, the directory watch and the swap.
mod build;
mod gate;
pub mod limits;
mod registry;
mod run;
mod spec;
mod version;

#[cfg(test)]
pub(crate) mod tests;

pub use build::cache::CacheError;
pub use build::compile::{Compiler, compile_child_main};
pub use gate::inspect::{GateError, inspect};
pub use gate::report::{About, ConfigIssue, Report, Shape, Sketch};
pub use hookwright_model::plugin::{Candidate, Limits, Mode, Quarantine, Spec, Warm};
pub use limits::HTTP_BODY;
pub use registry::entry::{CandidateStatus, Status};
pub use registry::loader::LoadError;
pub use registry::pinned::Pinned;
pub use registry::plugins::{LoadReport, OpenError, Plugins, Prepared, ReconfigureError};
pub use run::call::{Aim, Answer, Call};
pub use run::fault::Fault;
pub use run::http::{Fetch, FetchError, Fetching, Incoming, Outgoing, check_grant, check_url};
pub use run::kv::{Changes, State};
pub use run::verdict::{Amendment, Target, Verdict};
pub use spec::Options;
pub use version::hands::{Hands, HandsError, Suspect};
pub use version::health::Quarantined;
pub use version::trial::Tally;

/// Takes a component through the whole gate without putting it in force.
///
/// # Errors
/// What stands against it.
pub async fn check(
    compiler: &Compiler,
    spec: &Spec,
    wasm: bytes::Bytes,
) -> Result<Report, GateError> {
    compiler.build(build::pipeline::Job::new(spec), wasm).await.map(|built| built.report)
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
    compiler.sketch(build::pipeline::Job::new(spec), wasm).await
}
