//! The plugins of the settings: how their versions are loaded, changed and withdrawn.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use crate::gate::Report;
use crate::registry::entry::{Entry, announce};
use crate::registry::loader::{LoadError, Loader};
use crate::registry::stamp::FileStamp;
use crate::registry::table::{ActiveTable, Table};
use crate::run::SharedRuntime;
use hookwright_model::Name;
use hookwright_model::plugin::{Mode, Spec};

/// Plugins that are loaded at a time.
fn at_a_time() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

/// The settings were not taken over: these plugins have no good version with them.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(|(name, error)| format!("plugin `{name}`: {error}")).collect::<Vec<_>>().join("; "))]
pub struct ReconfigureError(pub Vec<(Name, LoadError)>);

/// The result of loading one plugin.
#[derive(Debug)]
pub struct LoadReport {
    /// Its name in the settings.
    pub plugin: Name,
    /// What the gate found out, or why there is no version.
    pub result: Result<Arc<Report>, LoadError>,
}

/// The plugins of new settings, all loaded. Events in flight finish with the versions
/// that they began with.
pub struct Prepared<'p> {
    active: &'p ActiveTable,
    table: Table,
    _changing: tokio::sync::MutexGuard<'p, ()>,
}

impl Prepared<'_> {
    /// Activates them. Plugins that are no longer named still answer, for
    /// pipelines that still name them.
    pub fn take_over(&self) {
        self.active.add(&self.table);
    }

    /// Lets go of those that are no longer named.
    pub fn finish(self) {
        self.active.replace(self.table);
    }
}

/// All plugins of the settings. It alone changes the active table, one change at a time.
pub(crate) struct PluginSet {
    pub(crate) active: ActiveTable,
    pub(crate) shared: Arc<SharedRuntime>,
    pub(crate) loader: Loader,
    /// Calls of one plugin at a time.
    pub(crate) share: usize,
    /// How long a version outlives its file.
    grace: Duration,
    /// Held for a load, a scan of the files or a change of settings: one at a time.
    changing: tokio::sync::Mutex<()>,
}

impl PluginSet {
    /// Nothing is loaded yet.
    pub(crate) fn new(
        specs: Vec<Spec>,
        loader: Loader,
        shared: SharedRuntime,
        share: usize,
        grace: Duration,
    ) -> Self {
        let table: Table = specs.into_iter().flat_map(|spec| Entry::of(spec, share)).collect();
        Self {
            active: ActiveTable::new(table),
            shared: Arc::new(shared),
            loader,
            share,
            grace,
            changing: tokio::sync::Mutex::default(),
        }
    }

    /// Loads every plugin from its file. One that fails leaves the others alone.
    pub(crate) async fn load_all(&self) -> Vec<LoadReport> {
        let _changing = self.changing.lock().await;
        self.loader.prune();
        let entries = self.active.load().entries().map(|entry| Entry::clone(entry)).collect();
        let mut reports = self.refresh(entries).await;
        reports.sort_by(|a, b| a.plugin.cmp(&b.plugin));
        reports
    }

    pub(crate) fn specs(&self) -> Vec<Arc<Spec>> {
        self.active.load().entries().map(|entry| entry.spec.clone()).collect()
    }

    pub(crate) fn path(&self, spec: &Spec) -> PathBuf {
        self.loader.path(spec)
    }

    /// Loads those whose files changed since they were last tried.
    pub(crate) async fn load_changed(&self, settled: impl Fn(&Spec, Option<FileStamp>) -> bool) {
        let _changing = self.changing.lock().await;
        let table = self.active.load_full();
        let changed = table.entries().filter(|entry| settled(&entry.spec, entry.tried));
        self.refresh(changed.map(|entry| Entry::clone(entry)).collect()).await;
    }

    /// Deactivates versions whose files are gone for good. Events in
    /// flight finish with them; later events have no version.
    pub(crate) async fn withdraw_orphans(&self) {
        let _changing = self.changing.lock().await;
        let table = self.active.load_full();
        for entry in table.entries().filter(|entry| entry.is_orphaned(self.grace)) {
            if FileStamp::of(&self.loader.path(&entry.spec)).is_some() {
                continue;
            }
            let plugin = entry.spec.name.as_str();
            tracing::error!(
                plugin,
                "the plugin's file is gone and so is its version: its events follow `on_failure`"
            );
            self.active.publish(&Entry { version: None, ..Entry::clone(entry) });
        }
    }

    async fn refresh(&self, entries: Vec<Entry>) -> Vec<LoadReport> {
        let loads = entries.into_iter().map(|mut entry| async move {
            let result = self.try_file(&mut entry).await;
            self.active.publish(&entry);
            announce(&entry, &result);
            LoadReport { plugin: entry.spec.name.clone(), result: result.map(|(report, _)| report) }
        });
        stream::iter(loads).buffer_unordered(at_a_time()).collect().await
    }

    /// Loads the plugins that are new or changed in new settings, all or none. They become
    /// active when the caller activates the result; no other change begins before that.
    ///
    /// # Errors
    /// The plugins that can't be loaded; nothing is changed then.
    pub(crate) async fn prepare(&self, specs: Vec<Spec>) -> Result<Prepared<'_>, ReconfigureError> {
        let changing = self.changing.lock().await;
        let old = self.active.load_full();
        let wanted = specs.into_iter().flat_map(|spec| Entry::of(spec, self.share));
        let entries = wanted.map(|new| match old.peer(&new) {
            Some(entry) if entry.is_as(&new) => (Entry::clone(entry), false),
            // The limit on its calls stays one over both versions.
            Some(entry) => (Entry { permits: entry.permits.clone(), ..new }, true),
            None => (new, true),
        });
        let tries = entries.map(|(mut entry, changed)| async move {
            let result = if changed { self.try_file(&mut entry).await.map(drop) } else { Ok(()) };
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
            Ok(Prepared { active: &self.active, table, _changing: changing })
        } else {
            Err(ReconfigureError(failed))
        }
    }

    /// Puts the file's version into the entry, or the reason why it can't. The
    /// flag says whether the version is a new one.
    async fn try_file(&self, entry: &mut Entry) -> Result<(Arc<Report>, bool), LoadError> {
        let (stamp, candidate) = self.loader.read(&entry.spec).await;
        entry.tried = stamp;
        let result = match candidate {
            Ok(new) => match &entry.version {
                Some(version) if version.digest() == new.digest => {
                    Ok((version.report.clone(), false))
                }
                _ => {
                    entry.tried = Some(new.stamp);
                    let apart =
                        entry.trial.as_ref().is_some_and(|trial| trial.mode == Mode::Shadow);
                    let loaded = self.loader.load(&entry.spec, new, apart, &self.shared).await;
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
}
