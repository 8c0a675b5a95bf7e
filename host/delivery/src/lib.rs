//! Claim → sign → send → record: a lane for each destination, so that each harms only itself.
//!
//! A lane holds what is in flight and a small window of what is due now. All
//! else is in the store's rows: what does not fit the window is let go and read
//! again when there is room, so a backlog costs no memory. Where deliveries go is
//! a kind of destination's to know, behind one seam (`kinds`).
#![deny(missing_docs)]

mod attempt;
mod dispatch;
mod error;
mod handle;
mod kinds;
mod lane;
mod options;
mod status;
mod trial;

#[cfg(test)]
mod tests;

pub use error::{Problem, SettingsError, StartError, SwitchError};
pub use handle::{Handle, start};
pub use options::Options;
pub use status::{Last, State, Status};
pub use trial::Trial;
