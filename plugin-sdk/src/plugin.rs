//! What the `#[plugin]` attribute makes of an author's function.
use crate::{Event, Prepare, Result, Verdict};

/// A plugin as the component's exports see it. The attribute writes it.
#[doc(hidden)]
pub trait Plugin: 'static {
    type State: Prepare;
    const NAME: &'static str;
    const VERSION: &'static str;
    const SUMMARY: &'static str;

    fn handle(event: Event, state: &Self::State) -> Result<Verdict>;

    /// Where the prepared settings are kept.
    fn state() -> &'static std::sync::OnceLock<Self::State>;
}
