//! All plugins of the host: which versions are in force, and how they change.
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::{StreamExt as _, stream};

use crate::build::cache::{Cache, CacheError};
use crate::gate::report::Report;
use crate::registry::entry::{Entry, Status, announce};
use crate::registry::loader::{LoadError, Loader};
use crate::registry::pinned::{Pin, Pinned};
use crate::registry::watch::Mark;
use crate::run::engine::{self, Purpose};
use crate::run::kv::State;
use crate::run::slow::Lane;
use crate::run::warm::PLACES;
use crate::spec::Options;
use crate::version::hands::Suspect;
use crate::version::serving::{ASIDE, Floor};
use hookwright_model::plugin::{Mode, Spec};
use hookwright_model::{EventId, Name};

/// Component instances of the pool beyond those of calls that decide: probes, what
/// waits for a call, and what decides nothing.
const SPARE: u32 = 8 + PLACES + ASIDE;
/// One plugin has at most that part of all instances.
const SHARE: usize = 4;

/// Plugins that are loaded at a time.
fn at_a_time() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

/// Why the plugins could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(
        "the WebAssembly engine does not start: {0:#}; lower the number of plugin instances, or allow the process more address space"
    )]
    Engine(wasmtime::Error),
    #[error("no threads for slow plugins: {0}")]
    Threads(std::io::Error),
}

/// The settings were not taken over: these plugins have no good version with them.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(name, error)| format!("plugin `{name}`: {error}")).collect::<Vec<_>>().join("; "))]
pub struct ReconfigureError(pub Vec<(Name, LoadError)>);

/// What came of loading one plugin.
#[derive(Debug)]
pub struct LoadReport {
    pub plugin: Name,
    pub result: Result<Arc<Report>, LoadError>,
}

/// All plugins. Cheap to clone.
#[derive(Clone)]
pub struct Plugins(Arc<Inner>);

/// Plugins of new settings, all loaded. Events in flight end with the versions
/// that they began with.
pub struct Prepared<'p> {
    inner: &'p Inner,
    table: Table,
    _changing: tokio::sync::MutexGuard<'p, ()>,
}

impl Prepared<'_> {
    /// Puts them in force. Plugins that are no longer named still answer, for
    /// pipelines that still name them.
    pub fn take_over(&self) {
        let mut table = Table::clone(&self.inner.table.load());
        self.table.entries().for_each(|entry| table.insert(entry.clone()));
        self.inner.table.store(Arc::new(table));
    }

    /// Lets go of those that are no longer named.
    pub fn finish(self) {
        self.inner.table.store(Arc::new(self.table));
    }
}

pub(crate) struct Inner {
    /// One pointer: an event sees the plugins all of one moment.
    table: ArcSwap<Table>,
    pub(crate) floor: Floor,
    loader: Loader,
    /// One load, look or change of settings at a time.
    changing: tokio::sync::Mutex<()>,
    share: usize,
    poll: Duration,
    grace: Duration,
    dir: std::path::PathBuf,
}

/// The plugins by name, and those of them that have a candidate.
#[derive(Clone, Default)]
struct Table {
    in_force: BTreeMap<Name, Arc<Entry>>,
    candidates: BTreeMap<Name, Arc<Entry>>,
}

impl Table {
    fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.in_force.values().chain(self.candidates.values())
    }

    /// The entry that stands where this one would.
    fn peer(&self, entry: &Entry) -> Option<&Arc<Entry>> {
        let side = if entry.trial.is_none() { &self.in_force } else { &self.candidates };
        side.get(&entry.spec.name)
    }

    fn insert(&mut self, entry: Arc<Entry>) {
        let side = if entry.trial.is_none() { &mut self.in_force } else { &mut self.candidates };
        side.insert(entry.spec.name.clone(), entry);
    }
}

impl FromIterator<Entry> for Table {
    fn from_iter<T: IntoIterator<Item = Entry>>(entries: T) -> Self {
        let mut table = Self::default();
        entries.into_iter().for_each(|entry| table.insert(Arc::new(entry)));
        table
    }
}

impl Plugins {
    /// Sets the engine up; nothing is loaded yet.
    ///
    /// # Errors
    /// Where the cache directory is unsafe or the engine does not start.
    pub fn open(options: Options, specs: Vec<Spec>) -> Result<Self, OpenError> {
        let cache = Cache::open(&options.cache_dir)?;
        let slots = options.max_instances.clamp(SHARE, 10_000);
        let pool = u32::try_from(slots).unwrap_or(u32::MAX).saturating_add(SPARE);
        let engine = engine::new(Purpose::Serve, pool).map_err(OpenError::Engine)?;
        let lanes = Lane::new(options.slow_threads).and_then(|lane| Ok((lane, Lane::aside()?)));
        let lanes = lanes.map_err(OpenError::Threads)?;
        let loader = Loader::new(&options, engine, cache).map_err(OpenError::Engine)?;
        let share = slots / SHARE;
        let table: Table = specs.into_iter().flat_map(|spec| Entry::of(spec, share)).collect();
        Ok(Self(Arc::new(Inner {
            table: ArcSwap::from_pointee(table),
            floor: Floor::new(lanes, slots, options.hands),
            loader,
            changing: tokio::sync::Mutex::default(),
            share,
            poll: options.poll,
            grace: options.grace,
            dir: options.dir,
        })))
    }

    /// Loads every plugin from its file. One that fails leaves the others alone.
    pub async fn load_all(&self) -> Vec<LoadReport> {
        let _changing = self.0.changing.lock().await;
        self.0.loader.prune();
        let entries = self.0.table.load().entries().map(|entry| Entry::clone(entry)).collect();
        let mut reports = self.refresh(entries).await;
        reports.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        reports
    }

    /// Loads those whose files changed since they were last tried.
    pub(crate) async fn load_changed(&self, settled: impl Fn(&Spec, Option<Mark>) -> bool) {
        let _changing = self.0.changing.lock().await;
        let table = self.0.table.load_full();
        let changed = table.entries().filter(|entry| settled(&entry.spec, entry.tried));
        self.refresh(changed.map(|entry| Entry::clone(entry)).collect()).await;
    }

    /// Takes versions out of force whose files are gone for good. Events in
    /// flight end with them; those that follow have no version.
    pub(crate) async fn withdraw_orphans(&self) {
        let _changing = self.0.changing.lock().await;
        let table = self.0.table.load_full();
        for entry in table.entries().filter(|entry| entry.is_orphaned(self.0.grace)) {
            if Mark::of(&self.path(&entry.spec)).is_some() {
                continue;
            }
            let plugin = entry.spec.name.as_str();
            tracing::error!(
                plugin,
                "the plugin's file is gone and so is its version: its events follow `on_failure`"
            );
            self.0.publish(&Entry { version: None, ..Entry::clone(entry) });
        }
    }

    async fn refresh(&self, entries: Vec<Entry>) -> Vec<LoadReport> {
        let loads = entries.into_iter().map(|mut entry| async move {
            let result = self.0.try_file(&mut entry).await;
            self.0.publish(&entry);
            announce(&entry, &result);
            LoadReport { plugin: entry.spec.name.clone(), result: result.map(|(report, _)| report) }
        });
        stream::iter(loads).buffer_unordered(at_a_time()).collect().await
    }

    /// Loads what is new or changed in new settings, all or none. Nothing is in
    /// force until the answer is told so, and no other change begins meanwhile.
    ///
    /// # Errors
    /// Those that do not load; everything stays as it was then.
    pub async fn prepare(&self, specs: Vec<Spec>) -> Result<Prepared<'_>, ReconfigureError> {
        let changing = self.0.changing.lock().await;
        let old = self.0.table.load_full();
        let wanted = specs.into_iter().flat_map(|spec| Entry::of(spec, self.0.share));
        let entries = wanted.map(|new| match old.peer(&new) {
            Some(entry) if entry.is_as(&new) => (Entry::clone(entry), false),
            // The limit on its calls stays one over both versions.
            Some(entry) => (Entry { slots: entry.slots.clone(), ..new }, true),
            None => (new, true),
        });
        let tries = entries.map(|(mut entry, changed)| async move {
            let result = if changed { self.0.try_file(&mut entry).await.map(drop) } else { Ok(()) };
            (entry, result)
        });
        let tried: Vec<_> = stream::iter(tries).buffer_unordered(at_a_time()).collect().await;
        let (mut table, mut failed) = (Table::default(), Vec::new());
        for (entry, result) in tried {
            match result {
                Ok(()) => table.insert(Arc::new(entry)),
                Err(error) => failed.push((entry.spec.name.clone(), error)),
            }
        }
        if failed.is_empty() {
            Ok(Prepared { inner: &self.0, table, _changing: changing })
        } else {
            Err(ReconfigureError(failed))
        }
    }

    /// What plugins with the grant `kv` keep.
    pub fn state(&self) -> &State {
        self.0.loader.state()
    }

    /// Where the host died with the event in hand: waits for its turn, for a preview, too.
    pub async fn suspect(&self, event: EventId) -> Option<Suspect> {
        self.0.floor.hands()?.suspect(event).await
    }

    /// To be called where the host did not start after all.
    pub fn undo(&self) {
        if let Some(hands) = self.0.floor.hands() {
            hands.undo();
        }
    }

    /// To be called where the host ends in an orderly way: nothing that plugins
    /// had in hand is under suspicion then.
    pub fn close(&self) {
        if let Some(hands) = self.0.floor.hands() {
            hands.close();
        }
    }

    /// Watches the plugins directory until it is dropped.
    pub async fn watch(&self) {
        crate::registry::watch::run(self, &self.0.dir, self.0.poll).await;
    }

    pub(crate) fn path(&self, spec: &Spec) -> std::path::PathBuf {
        self.0.loader.path(spec)
    }

    pub(crate) fn specs(&self) -> Vec<Arc<Spec>> {
        self.0.table.load().entries().map(|entry| entry.spec.clone()).collect()
    }

    /// All plugins as they stand, by name.
    pub fn status(&self) -> Vec<Status> {
        let share = self.0.share;
        let table = self.0.table.load();
        let candidate = |entry: &Entry| table.candidates.get(&entry.spec.name).map(Arc::as_ref);
        table.in_force.values().map(|entry| entry.status(candidate(entry), share)).collect()
    }

    /// The versions in force of these plugins, all of one moment.
    pub fn pin(&self, names: &[Name]) -> Pinned {
        let table = self.0.table.load();
        let pin = |name| Pin {
            entry: table.in_force.get(name).cloned(),
            candidate: table.candidates.get(name).cloned(),
        };
        Pinned { inner: self.0.clone(), pins: names.iter().map(pin).collect() }
    }
}

impl Inner {
    /// Puts the file's version into the entry, or the reason why it can't. The
    /// flag says whether the version is a new one.
    async fn try_file(&self, entry: &mut Entry) -> Result<(Arc<Report>, bool), LoadError> {
        let (mark, candidate) = self.loader.read(&entry.spec).await;
        entry.tried = mark;
        let result = match candidate {
            Ok(new) => match &entry.version {
                Some(version) if version.digest() == new.digest => {
                    Ok((version.report.clone(), false))
                }
                _ => {
                    entry.tried = Some(new.mark);
                    let apart =
                        entry.trial.as_ref().is_some_and(|trial| trial.mode == Mode::Shadow);
                    let loaded = self.loader.load(&entry.spec, new, apart, &self.floor).await;
                    loaded.map_err(LoadError::Gate).map(|version| {
                        let report = version.report.clone();
                        entry.set_version(version);
                        (report, true)
                    })
                }
            },
            Err(error) => Err(error),
        };
        entry.note(result.as_ref().err());
        result
    }

    /// One pointer store: the next event sees the entry.
    fn publish(&self, entry: &Entry) {
        let entry = Arc::new(entry.clone());
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.insert(entry.clone());
            table
        });
    }
}
