//! What the settings say of plugins, in this module's own terms.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::build::compile::Compiler;
use crate::limits::Limits;
use crate::run::http::Fetch;
use crate::run::kv::State;
use crate::run::warm::Warm;
use crate::version::hands::Hands;
use crate::version::health::Quarantine;
use crate::version::trial::Mode;
use hookwright_model::Name;
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

/// One plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    pub name: Name,
    /// Relative to the plugins directory.
    pub file: PathBuf,
    /// The settings, as JSON; `null` or `{}` where there are none.
    pub config_json: String,
    /// Headers that the plugin may see, lower case.
    pub headers: Vec<String>,
    /// What it may import beyond the contract's own: `kv`, `http:HOST`, `responder`.
    pub grants: Vec<String>,
    pub limits: Limits,
    /// A version that is tried beside the one in force.
    pub candidate: Option<Candidate>,
    pub quarantine: Quarantine,
    /// Keeps instances from event to event; none: each event has a fresh one.
    pub warm: Option<Warm>,
}

/// A version on trial; it shares all settings with the one in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Relative to the plugins directory.
    pub file: PathBuf,
    pub mode: Mode,
}

impl Spec {
    /// A plugin of the file `<name>.wasm` with nothing set and nothing granted.
    pub fn new(name: Name) -> Self {
        let file = format!("{name}.wasm").into();
        Self {
            name,
            file,
            config_json: "{}".into(),
            headers: Vec::new(),
            grants: Vec::new(),
            limits: Limits::default(),
            candidate: None,
            quarantine: Quarantine::default(),
            warm: None,
        }
    }
}
