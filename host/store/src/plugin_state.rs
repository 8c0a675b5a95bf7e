//! What plugins keep between events.
use hookwright_model::StateRow;

use crate::Answer;

/// The keys and values that plugins keep, as the plugin engine loads them at the start.
///
/// It writes none here: a call's writes come with the outcome of routing
/// ([`Routed::state_rows`](crate::Routed::state_rows)), in one commit with it.
pub trait PluginState: Send + Sync + 'static {
    /// All of it that has not expired by now.
    ///
    /// # Errors
    /// Where it can't be read.
    fn state(&self) -> Answer<'_, Vec<StateRow>>;
}
