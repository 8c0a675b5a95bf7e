//! What several targets share: a runtime, and a store that keeps events in memory.
use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::{Builder, Runtime};

mod handed;

pub use handed::{Handed, store};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let made = Builder::new_current_thread().enable_time().build();
    made.expect("a runtime without I/O needs nothing of the system")
});

/// Runs a future to its end, always on the same runtime.
pub fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.block_on(future)
}
