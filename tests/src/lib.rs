//! The harness: a real host in its own process, scripted receivers, load, and waiting with a deadline.
#![expect(clippy::print_stderr, reason = "a failed test shows the host's log")]

mod browser;
mod host;
mod load;
pub mod mutants;
mod operations;
mod postman;
mod receiver;
pub mod schemes;
mod signature;
mod table;
mod toolchain;
pub mod vectors;
mod wait;
mod wild;

pub use browser::Browser;
pub use hookwright_testkit::guest::{guest, hostile};
pub use host::{Host, HostBuilder, artifact, plugins_dir, resident};
pub use load::{Client, Posted};
pub use operations::operations;
pub use postman::postman;
pub use receiver::{Answer, Received, Receiver};
pub use signature::is_signed;
pub use table::table;
pub use toolchain::{example, with_tools};
pub use wait::{eventually, within};
pub use wild::{Act, Wild};
