//! The watch over the plugins directory: changes reported by the system, and a look every few seconds where it reports none.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::registry::set::PluginSet;
use crate::registry::stamp::FileStamp;

/// How long a file's stamp must be unchanged before the file is read.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// Changes of the stamp after which the file is read anyway, so that a file that is replaced
/// again and again is read too. A half-copied file does not pass the gate.
const UNSETTLED_ROUNDS: u32 = 3;

/// Loads what changes, until it is dropped.
pub(crate) async fn run(plugins: &PluginSet, dir: &Path, poll: Duration) {
    let mut watched = Watched::new(dir);
    let mut last = look(plugins);
    // This first round finds changes from before the watch was set up.
    loop {
        let mut rounds = 0;
        loop {
            tokio::time::sleep(DEBOUNCE).await;
            rounds += 1;
            let now = look(plugins);
            let unsettled = now != last;
            let overdue = rounds % UNSETTLED_ROUNDS == 0;
            plugins
                .load_changed(|spec, tried| {
                    let path = plugins.path(spec);
                    let stamp = now.get(&path).copied().flatten();
                    stamp != tried && (overdue || last.get(&path).copied().flatten() == stamp)
                })
                .await;
            last = now;
            if !unsettled {
                break;
            }
        }
        watched.renew();
        // If the whole directory is gone, a mount for example, no plugin was removed on purpose.
        if watched.on.is_some() {
            plugins.withdraw_orphans().await;
        }
        let _ = tokio::time::timeout(poll, watched.changed.notified()).await;
    }
}

fn look(plugins: &PluginSet) -> HashMap<PathBuf, Option<FileStamp>> {
    let paths = plugins.specs().into_iter().map(|spec| plugins.path(&spec));
    paths.map(|path| (path.clone(), FileStamp::of(&path))).collect()
}

/// The system's watch on the directory; a new one when the directory itself is another.
struct Watched {
    dir: PathBuf,
    on: Option<(u64, u64)>,
    watcher: Option<RecommendedWatcher>,
    changed: Arc<Notify>,
}

impl Watched {
    fn new(dir: &Path) -> Self {
        let mut watched =
            Self { dir: dir.into(), on: None, watcher: None, changed: Arc::new(Notify::new()) };
        watched.renew();
        watched
    }

    fn renew(&mut self) {
        let on = FileStamp::of(&self.dir).map(|stamp| stamp.place());
        if on == self.on && (on.is_none() || self.watcher.is_some()) {
            return;
        }
        self.on = on;
        self.watcher = None;
        if on.is_none() {
            tracing::warn!(dir = %self.dir.display(), "the plugins directory is gone; the active versions stay");
            return;
        }
        let changed = self.changed.clone();
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Reading a file is not a change.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                changed.notify_one();
            }
        });
        let started = watcher.and_then(|mut watcher| {
            watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match started {
            Ok(watcher) => {
                self.watcher = Some(watcher);
                // What happened in between was not reported.
                self.changed.notify_one();
            }
            Err(error) => {
                tracing::debug!(dir = %self.dir.display(), %error, "no reports of changes; looking every few seconds");
            }
        }
    }
}
