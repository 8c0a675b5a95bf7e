//! One version of a plugin that serves: its calls, its health and its trial.
pub(crate) mod hands;
pub(crate) mod health;
pub(crate) mod serving;
pub(crate) mod strikes;
pub(crate) mod trial;
