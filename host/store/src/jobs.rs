//! How far long work that a person asked for has come.
use hookwright_model::ReplayJob;

use crate::Answer;

/// The bulk replays, so that one which a stop interrupted is resumed.
///
/// The API's replays write their position here after each step.
pub trait Jobs: Send + Sync + 'static {
    /// Keeps how far a bulk replay has come, in place of what was kept under its id.
    ///
    /// # Errors
    /// Where it can't be written.
    fn put_replay<'a>(&'a self, job: &'a ReplayJob) -> Answer<'a, ()>;

    /// Bulk replays, the latest first. Done ones are kept to a thousand.
    ///
    /// # Errors
    /// Where they can't be read.
    fn replays(&self) -> Answer<'_, Vec<ReplayJob>>;
}
