//! What the engine needs for all plugins together.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::build::compile::Compiler;
use crate::run::http::Fetch;
use crate::run::kv::State;
use crate::version::hands::Hands;
use hookwright_model::clock::Clock;

/// For all plugins together.
#[derive(Clone)]
pub struct Options {
    /// Where the components are.
    pub dir: PathBuf,
    /// Where native code is kept; made with mode 0700 where it is missing.
    pub cache_dir: PathBuf,
    pub compiler: Compiler,
    /// Instances at a time, default 64. One plugin has at most a quarter of them.
    pub max_instances: usize,
    /// Threads for calls that take longer than some 2 ms, default 2.
    pub slow_threads: usize,
    /// How often the directory is looked at where it reports no change, default 3 s.
    pub poll: Duration,
    /// How long a version stays in force whose file is gone, default 5 s: a
    /// new file may be on its way.
    pub grace: Duration,
    pub clock: Clock,
    /// What plugins with the grant `kv` have kept.
    pub state: State,
    /// Sends what plugins with a grant `http:HOST` ask for; none: nothing is sent.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// Marks what plugins have in hand; none: the death of the process blames nobody.
    pub hands: Option<Arc<Hands>>,
}

impl Options {
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
            hands: None,
        }
    }
}
