//! Why a call gave no verdict.
use std::time::Duration;

use wasmtime::{Error, Trap, WasmBacktrace};

use crate::limits::HOST_CALLS;
use crate::text::escape;

/// Characters of a message that came from a guest.
const MESSAGE: usize = 512;

/// Why a call gave no verdict. The text is one line, fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The plugin asks for another try, in its own words.
    #[error("asks for another try: {0}")]
    Retry(String),
    /// The plugin says that the event is at fault, in its own words.
    #[error("rejects the event: {0}")]
    Reject(String),
    /// The plugin says that it could not decide, in its own words.
    #[error("could not decide: {0}")]
    Other(String),
    /// It trapped or panicked.
    #[error("trapped: {0}")]
    Trap(String),
    /// It used up its CPU time, or twenty times that in wall-clock time.
    #[error("took longer than its {0:?}")]
    Time(Duration),
    /// It exceeded its memory limit.
    #[error("wanted more than its {0} bytes of memory")]
    Memory(u64),
    /// Its output, to the host or as its answer, exceeded the limit.
    #[error("handed over more than its {0} bytes of output")]
    Output(u64),
    /// It called the host too often.
    #[error("made more than {HOST_CALLS} calls into the host")]
    HostCalls,
    /// Its verdict breaks the contract.
    #[error("the verdict breaks the contract: {0}")]
    Contract(String),
    /// No version is loaded.
    #[error("no version is loaded: {0}")]
    NotLoaded(String),
    /// The version is quarantined: it failed for most recent events.
    #[error("is quarantined: {0}")]
    Quarantined(String),
    /// The host itself failed.
    #[error("the host could not run it: {0}")]
    Host(String),
}

impl Fault {
    /// Whether the plugin is to blame: to ask for another try or to reject an
    /// event is its work, and what the host could not run is the host's.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(
            self,
            Self::Retry(_)
                | Self::Reject(_)
                | Self::Host(_)
                | Self::NotLoaded(_)
                | Self::Quarantined(_)
        )
    }

    /// The limit at which the call was stopped, as the metrics write it.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Time(_) => Some("time"),
            Self::Memory(_) => Some("memory"),
            Self::Output(_) => Some("output"),
            Self::HostCalls => Some("host-calls"),
            _ => None,
        }
    }
}

/// Stops a guest that calls the host without end.
#[derive(Debug, thiserror::Error)]
#[error("more than {HOST_CALLS} calls into the host")]
pub(crate) struct TooManyCalls;

/// Stops a guest that asks the host for more than it may hold itself.
#[derive(Debug, thiserror::Error)]
#[error("asked for more of the body than its memory holds")]
pub(crate) struct TooMuchText;

/// What a failed call left behind.
pub(crate) struct FailedCall<'a> {
    pub(crate) error: &'a Error,
    /// It was refused memory at some time.
    pub(crate) out_of_memory: bool,
    pub(crate) last_error: Option<&'a str>,
    pub(crate) limits: &'a crate::Limits,
}

/// Names the cause of a failed call.
pub(crate) fn explain(remains: &FailedCall<'_>) -> Fault {
    let FailedCall { error, out_of_memory, last_error, limits } = remains;
    if error.is::<TooManyCalls>() {
        return Fault::HostCalls;
    }
    let root = error.root_cause().to_string();
    // wasmtime keeps this error's type to itself.
    if root.contains("fuel allocated for hostcalls") {
        return Fault::Output(limits.output);
    }
    if *out_of_memory || error.is::<TooMuchText>() {
        return Fault::Memory(limits.memory);
    }
    if error.is::<wasmtime::PoolConcurrencyLimitError>() {
        return Fault::Host(root);
    }
    let mut text = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => escape(&root, MESSAGE),
    };
    if let Some(name) = innermost(error) {
        text = format!("{text} in `{}`", escape(&name, 80));
    }
    if let Some(last) = last_error {
        text = format!("{text}; its last words: {last}");
    }
    Fault::Trap(text)
}

/// The function where it happened, where the component has names.
fn innermost(error: &Error) -> Option<String> {
    let frames = error.downcast_ref::<WasmBacktrace>()?.frames();
    frames.first()?.func_name().map(str::to_owned)
}
