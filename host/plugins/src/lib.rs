//! The plugin host: WebAssembly components that decide what becomes of an event.
//!
//! Five parts, each of which uses only those before it: `gate` (what a component must be), `run` (one call within its
//! limits), `build` (from bytes to native code), `version` (a component that serves, its health and its trial) and
//! `registry` (all plugins by name, loaded, swapped and watched). [`Plugins`] is the face for routing and the
//! application, [`check`] and [`sketch`] are what the commands for plugin authors use.
#![deny(missing_docs)]

mod build;
mod gate;
pub mod limits;
mod registry;
mod run;
mod text;
mod version;

#[cfg(test)]
pub(crate) mod tests;

pub use build::{CacheError, Compiler, compile_child_main};
pub use gate::{About, ConfigIssue, GateError, Report, Shape, Sketch, inspect};
pub use hookwright_model::plugin::{Candidate, Limits, Mode, Quarantine, Spec, Warm};
pub use limits::HTTP_BODY;
pub use registry::{
    CandidateStatus, LoadError, LoadReport, OpenError, Options, Pinned, Plugins, Prepared,
    ReconfigureError, Status,
};
pub use run::{
    Amendment, Answer, Call, CallMode, Changes, Fault, Fetch, FetchError, Fetching, Incoming,
    Outgoing, State, Target, Verdict, check_grant, check_url,
};
pub use version::{InFlightLedger, LedgerError, PoisonSuspect, Quarantined, TrialCounts};

/// Builds a component and runs its probe without serving it: for `plugin check` and `check`.
///
/// # Errors
/// The first step of the gate that the component does not pass.
pub async fn check(
    compiler: &Compiler,
    spec: &Spec,
    wasm: bytes::Bytes,
) -> Result<Report, GateError> {
    compiler.build(build::Job::new(spec), wasm).await.map(|built| built.report)
}

/// Asks a component for its description without building it: for `plugin inspect`.
///
/// # Errors
/// The first step of the gate that the component does not pass.
pub async fn sketch(
    compiler: &Compiler,
    spec: &Spec,
    wasm: bytes::Bytes,
) -> Result<Sketch, GateError> {
    compiler.sketch(build::Job::new(spec), wasm).await
}
