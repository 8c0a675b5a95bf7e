//! The settings of the plugin host as a whole.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::build::Compiler;
use crate::run::{Fetch, State};
use crate::version::InFlightLedger;
use hookwright_model::clock::Clock;

/// The settings of the plugin host as a whole, and what it is connected to.
#[derive(Clone)]
pub struct Options {
    /// Where the components are.
    pub dir: PathBuf,
    /// Where native code is kept; made with mode 0700 where it is missing.
    pub cache_dir: PathBuf,
    /// Where components are compiled.
    pub compiler: Compiler,
    /// Instances at a time, default 64. One plugin has at most a quarter of them.
    pub max_instances: usize,
    /// Threads for calls that take longer than some 2 ms, default 2.
    pub slow_threads: usize,
    /// How often the directory is looked at where it reports no change, default 3 s.
    pub poll: Duration,
    /// How long a version stays active whose file is gone, default 5 s: a
    /// new file may be on its way.
    pub grace: Duration,
    /// The clock of loads and of state that expires.
    pub clock: Clock,
    /// What plugins with the grant `kv` have kept.
    pub state: State,
    /// Sends what plugins with a grant `http:HOST` ask for; none: nothing is sent.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// Records calls in flight on disk; none: a crash of the process is not traced to an event.
    pub ledger: Option<Arc<InFlightLedger>>,
}

impl Options {
    /// The defaults, with these directories and this compiler.
    pub fn new(dir: PathBuf, cache_dir: PathBuf, compiler: Compiler) -> Self {
        Self {
            dir,
            cache_dir,
            compiler,
            max_instances: 64,
            slow_threads: 2,
            poll: Duration::from_secs(3),
            grace: Duration::from_secs(5),
            clock: Clock::system(),
            state: State::new(Clock::system(), Vec::new()),
            fetch: None,
            ledger: None,
        }
    }
}
