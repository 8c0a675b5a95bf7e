//! The harness: a real host in its own process, scripted receivers, load, and waiting with a deadline.
#![expect(clippy::print_stderr, reason = "a failed test shows the host's log")]

mod guest;
mod host;
mod load;
mod receiver;
mod signature;
mod wait;

pub use guest::{guest, hostile};
pub use host::{Host, HostBuilder, artifact, plugins_dir};
pub use load::{Client, Posted};
pub use receiver::{Answer, Received, Receiver};
pub use signature::is_signed;
pub use wait::{eventually, within};
