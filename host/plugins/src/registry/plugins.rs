//! All plugins of the host, as its other parts know them.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::build::{Cache, CacheError};
use crate::registry::code_store::CodeStore;
use crate::registry::entry::Status;
use crate::registry::loader::Loader;
use crate::registry::options::Options;
use crate::registry::pinned::Pinned;
use crate::registry::set::{LoadReport, PluginSet, Prepared, ReconfigureError};
use crate::registry::watch;
use crate::run::engine::{self, Purpose};
use crate::run::{BACKGROUND, KEPT_INSTANCES, SharedRuntime, SlowLane, State};
use crate::version::{InFlightLedger, PoisonSuspect};
use hookwright_model::plugin::Spec;
use hookwright_model::{EventId, Name};

/// Component instances of the pool in addition to those for deciding calls: for probes, warm
/// instances, shadows and previews.
const SPARE: u32 = 8 + KEPT_INSTANCES + BACKGROUND;
/// A plugin may use at most one in this many of all instances.
const SHARE: usize = 4;

/// Why the plugins could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The cache directory can't be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The engine can't reserve its memory, or is refused by the system.
    #[error(
        "the WebAssembly engine does not start: {0:#}; lower the number of plugin instances, or allow the process more address space"
    )]
    Engine(wasmtime::Error),
    /// The threads of the slow lane do not start.
    #[error("no threads for slow plugins: {0}")]
    Threads(std::io::Error),
}

/// All plugins of the host. Cheap to clone.
///
/// The application opens it and reloads it, routing pins versions and calls them.
#[derive(Clone)]
pub struct Plugins {
    set: Arc<PluginSet>,
    /// Records calls in flight on disk; none outside a host.
    ledger: Option<Arc<InFlightLedger>>,
    watched: Arc<Watched>,
}

/// What is watched, and how often it is looked at where it reports no change.
struct Watched {
    dir: PathBuf,
    poll: Duration,
}

impl Plugins {
    /// Sets the engine up; nothing is loaded yet.
    ///
    /// # Errors
    /// Where the cache directory is unsafe or the engine does not start.
    pub fn open(options: Options, specs: Vec<Spec>) -> Result<Self, OpenError> {
        let cache = Cache::open(&options.cache_dir)?;
        let instances = options.max_instances.clamp(SHARE, 10_000);
        let pool = u32::try_from(instances).unwrap_or(u32::MAX).saturating_add(SPARE);
        let engine = engine::new(Purpose::Serve, pool).map_err(OpenError::Engine)?;
        let lanes = SlowLane::new(options.slow_threads)
            .and_then(|lane| Ok((lane, SlowLane::background()?)));
        let lanes = lanes.map_err(OpenError::Threads)?;
        let code = CodeStore::new(engine, options.compiler.clone(), cache);
        let loader = Loader::new(&options, code.map_err(OpenError::Engine)?);
        let shared = SharedRuntime::new(lanes, instances);
        let set = PluginSet::new(specs, loader, shared, instances / SHARE, options.grace);
        Ok(Self {
            set: Arc::new(set),
            ledger: options.ledger,
            watched: Arc::new(Watched { dir: options.dir, poll: options.poll }),
        })
    }

    /// Loads every plugin from its file. One that fails leaves the others alone.
    pub async fn load_all(&self) -> Vec<LoadReport> {
        self.set.load_all().await
    }

    /// Loads the plugins that are new or changed in new settings, all or none. They become
    /// active when the caller activates the result; no other change begins before that.
    ///
    /// # Errors
    /// The plugins that can't be loaded; nothing is changed then.
    pub async fn prepare(&self, specs: Vec<Spec>) -> Result<Prepared<'_>, ReconfigureError> {
        self.set.prepare(specs).await
    }

    /// The state of plugins with the grant `kv`.
    pub fn state(&self) -> &State {
        self.set.loader.state()
    }

    /// Waits until an event that was in flight when the host crashed may be routed alone, or
    /// previewed; none, at once, for any other event.
    pub async fn isolate(&self, event: EventId) -> Option<PoisonSuspect> {
        self.ledger.as_ref()?.isolate(event).await
    }

    /// To be called where the host's start failed.
    pub fn undo(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.undo();
        }
    }

    /// To be called at a clean shutdown: no event in flight is suspected then.
    pub fn close(&self) {
        if let Some(ledger) = &self.ledger {
            ledger.close();
        }
    }

    /// Watches the plugins directory until it is dropped.
    pub async fn watch(&self) {
        watch::run(&self.set, &self.watched.dir, self.watched.poll).await;
    }

    /// The status of all plugins, by name.
    pub fn status(&self) -> Vec<Status> {
        let (table, share) = (self.set.active.load(), self.set.share);
        table.with_candidates().map(|(entry, candidate)| entry.status(candidate, share)).collect()
    }

    /// The active versions of these plugins, all from the same moment.
    pub fn pin(&self, names: &[Name]) -> Pinned {
        let table = self.set.active.load();
        Pinned::new(self.set.shared.clone(), names.iter().map(|name| table.pin(name)).collect())
    }
}
