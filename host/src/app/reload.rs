//! New settings while running: by SIGHUP, or when the file changes.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::metrics::counter;
use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};

use super::{Parts, options};
use crate::config::{Config, Sources};

/// How often the file's time and size are looked at.
const LOOK: Duration = Duration::from_secs(2);

pub(super) fn watch(path: PathBuf, parts: Arc<Parts>) {
    let stop = parts.work.stopping();
    let tasks = parts.work.clone();
    tasks.spawn("settings", async move {
        let mut hang_up = signal(SignalKind::hangup()).expect("a runtime with signals");
        let mut seen = stamp(&path);
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hang_up.recv() => seen = stamp(&path),
                _ = looks.tick() => {
                    let now = stamp(&path);
                    if now == seen {
                        continue;
                    }
                    seen = now;
                }
            }
            reload(&path, &parts).await;
        }
    });
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

async fn reload(path: &Path, parts: &Parts) {
    let result = match try_reload(path, parts).await {
        Ok(()) => {
            tracing::info!(file = %path.display(), "new settings are in force");
            "ok"
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(file = %path.display(), error, "the old settings stay in force");
            "refused"
        }
    };
    counter!(crate::metrics::RELOADS, "result" => result).increment(1);
}

async fn try_reload(path: &Path, parts: &Parts) -> anyhow::Result<()> {
    let new = match Config::load(path, &Sources::process()) {
        Ok(new) => new,
        Err(mistakes) => bail!("{}", mistakes.render(false)),
    };
    let old = parts.config.read().clone();
    for key in fixed_changes(&old, &new) {
        tracing::warn!(key, "a change of this setting takes a restart");
    }
    let destinations = options::destinations(&new)?;
    // The plugins first: of all parts only they may still refuse.
    parts.plugins.reconfigure(options::specs(&new)).await?;
    tokio::task::block_in_place(|| parts.delivery.reconfigure(destinations))?;
    parts.router.reconfigure(options::pipelines(&new));
    parts.ingress.reconfigure(&options::sources(&new));
    *parts.config.write() = new;
    Ok(())
}

/// What is bound to sockets, folders and threads that exist already.
fn fixed_changes(old: &Config, new: &Config) -> Vec<&'static str> {
    let pairs = [
        ("data_dir", old.data_dir != new.data_dir),
        ("plugins_dir", old.plugins_dir != new.plugins_dir),
        ("[ingress] listen", old.ingress.listen != new.ingress.listen),
        ("[admin] listen", old.admin.listen != new.admin.listen),
        ("[store]", format!("{:?}", old.store) != format!("{:?}", new.store)),
        ("[engine]", format!("{:?}", old.engine) != format!("{:?}", new.engine)),
    ];
    pairs.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
