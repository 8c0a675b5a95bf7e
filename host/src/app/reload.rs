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

/// `loaded` is the stamp from before the settings in force were read.
pub(super) fn watch(path: PathBuf, loaded: Stamp, parts: Arc<Parts>) -> anyhow::Result<()> {
    let stop = parts.work.stopping();
    let tasks = parts.work.clone();
    let mut hang_up = signal(SignalKind::hangup())?;
    tasks.spawn("settings", async move {
        let (mut tried, mut last) = (loaded, loaded);
        let mut looks = tokio::time::interval(LOOK);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = hang_up.recv() => {
                    last = stamp(&path);
                    tried = last;
                }
                _ = looks.tick() => {
                    // Half a file may be without a mistake: one that still
                    // changes is not read.
                    let now = stamp(&path);
                    let settled = now == last;
                    last = now;
                    if !settled || now == tried {
                        continue;
                    }
                    tried = now;
                }
            }
            reload(&path, &parts).await;
        }
    });
    Ok(())
}

/// What tells one state of a file from another.
pub(super) type Stamp = Option<(SystemTime, u64)>;

pub(super) fn stamp(path: &Path) -> Stamp {
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
    let read = || Config::load(path, &Sources::process());
    let new = match tokio::task::block_in_place(read) {
        Ok(new) => new,
        Err(mistakes) => bail!("{}", mistakes.render(false)),
    };
    let old = parts.config.read().clone();
    for key in fixed_changes(&old, &new) {
        tracing::warn!(key, "a change of this setting takes a restart");
    }
    // What may refuse comes first. Pipelines change while the plugins of both
    // settings answer.
    let plugins = parts.plugins.prepare(options::specs(&new)).await?;
    tokio::task::block_in_place(|| -> anyhow::Result<()> {
        Ok(parts.delivery.reconfigure(options::destinations(&new)?)?)
    })?;
    plugins.take_over();
    parts.router.reconfigure(options::pipelines(&new));
    parts.ingress.reconfigure(&options::sources(&new));
    plugins.finish();
    *parts.config.write() = new;
    Ok(())
}

/// What is bound to sockets, folders, threads and listeners that exist already.
fn fixed_changes(old: &Config, new: &Config) -> Vec<&'static str> {
    fn differ(old: &impl std::fmt::Debug, new: &impl std::fmt::Debug) -> bool {
        format!("{old:?}") != format!("{new:?}")
    }
    let token = |config: &Config| config.admin.token.as_ref().map(|token| token.expose().to_vec());
    let pairs = [
        ("data_dir", old.data_dir != new.data_dir),
        ("plugins_dir", old.plugins_dir != new.plugins_dir),
        ("[ingress]", differ(&old.ingress, &new.ingress)),
        ("[admin] listen", old.admin.listen != new.admin.listen),
        ("[admin] token", token(old) != token(new)),
        ("[store]", differ(&old.store, &new.store)),
        ("[retention]", differ(&old.retention, &new.retention)),
        ("[engine]", differ(&old.engine, &new.engine)),
        ("[delivery]", differ(&old.delivery, &new.delivery)),
        ("[log]", differ(&old.log, &new.log)),
    ];
    pairs.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
