//! New settings while running: by SIGHUP, or when the file changes.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::metrics::counter;
use anyhow::bail;
use tokio::signal::unix::{SignalKind, signal};

use super::{Parts, options, plugins};
use crate::config::{Config, Sources};
use crate::store::Change;

/// How often the files' times and sizes are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// `loaded` is the stamp from before the settings in force were read.
pub(super) fn watch(path: PathBuf, loaded: Stamp, parts: Arc<Parts>) -> anyhow::Result<()> {
    let stop = parts.work.stopping();
    let tasks = parts.work.clone();
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut settings = Look::new(vec![path.clone()], vec![loaded]);
    let certificates: Vec<PathBuf> =
        parts.tls.iter().flat_map(|tls| tls.files().paths()).map(PathBuf::from).collect();
    let stamps = certificates.iter().map(|path| stamp(path)).collect();
    let mut certificates = Look::new(certificates, stamps);
    tasks.spawn("settings", async move {
        let mut looks = tokio::time::interval(LOOK);
        loop {
            let told = tokio::select! {
                () = stop.cancelled() => return,
                _ = hang_up.recv() => true,
                _ = looks.tick() => false,
            };
            if certificates.is_due(told) {
                reload_certificates(&parts);
            }
            if settings.is_due(told) {
                reload(&path, &parts).await;
            }
        }
    });
    Ok(())
}

/// Files that are read together when one of them has changed.
struct Look {
    paths: Vec<PathBuf>,
    /// As they were when they were read.
    tried: Vec<Stamp>,
    last: Vec<Stamp>,
}

impl Look {
    fn new(paths: Vec<PathBuf>, loaded: Vec<Stamp>) -> Self {
        Self { paths, tried: loaded.clone(), last: loaded }
    }

    /// Whether to read them now: because somebody says so, or because they
    /// changed and have settled. Half a file may be without a mistake: one that
    /// still changes is not read.
    fn is_due(&mut self, told: bool) -> bool {
        let now: Vec<Stamp> = self.paths.iter().map(|path| stamp(path)).collect();
        let settled = now == self.last;
        self.last.clone_from(&now);
        let due = !now.is_empty() && (told || (settled && now != self.tried));
        if due {
            self.tried = now;
        }
        due
    }
}

/// Connections from now on see what the files hold.
fn reload_certificates(parts: &Parts) {
    let Some(tls) = &parts.tls else { return };
    let result = match tokio::task::block_in_place(|| tls.reload()) {
        Ok(()) => {
            tracing::info!("the certificate files were read again");
            "ok"
        }
        Err(error) => {
            tracing::error!(%error, "the certificate in force stays");
            "refused"
        }
    };
    counter!(crate::metrics::CERTIFICATE_RELOADS, "result" => result).increment(1);
}

/// What tells one state of a file from another.
pub(super) type Stamp = Option<(SystemTime, u64)>;

pub(super) fn stamp(path: &Path) -> Stamp {
    let data = std::fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

async fn reload(path: &Path, parts: &Parts) {
    let (result, status) = match try_reload(path, parts).await {
        Ok(()) => {
            tracing::info!(file = %path.display(), "new settings are in force");
            ("ok", 200)
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(file = %path.display(), "the old settings stay in force");
            super::told_by_lines(&error);
            ("refused", 422)
        }
    };
    let change = Change {
        who: "settings".to_owned(),
        from: None,
        action: "reload".to_owned(),
        path: path.display().to_string(),
        body: serde_json::Value::Null,
    };
    let now_ms = parts.clock.now_ms();
    if let Err(error) = tokio::task::block_in_place(|| parts.audit.note(now_ms, change, status)) {
        tracing::error!(%error, "the audit log can't be written; the line waits in memory");
    }
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
    let prepared = parts.plugins.prepare(options::specs(&new)).await;
    let plugins = prepared.map_err(|error| {
        let failed = error.0.iter().map(|(plugin, error)| (plugin, error));
        anyhow::anyhow!("{}", plugins::render(&new, failed))
    })?;
    tokio::task::block_in_place(|| -> anyhow::Result<()> {
        Ok(parts.delivery.reconfigure(options::destinations(&new)?)?)
    })?;
    plugins.take_over();
    parts.router.reconfigure(options::pipelines(&new));
    parts.budget.resize(options::usize_of(new.ingress_memory()));
    parts.ingress.reconfigure(&options::sources(&new));
    plugins.finish();
    parts.tokens.replace(options::tokens(&new));
    if let Some(log) = parts.log.as_ref().filter(|_| old.log.level != new.log.level) {
        log.follow(new.log.level.as_str())?;
    }
    *parts.config.write() = new;
    Ok(())
}

/// What is bound to sockets, folders, threads and listeners that exist already.
fn fixed_changes(old: &Config, new: &Config) -> Vec<&'static str> {
    fn differ(old: &impl std::fmt::Debug, new: &impl std::fmt::Debug) -> bool {
        format!("{old:?}") != format!("{new:?}")
    }
    let pairs = [
        ("data_dir", old.data_dir != new.data_dir),
        ("plugins_dir", old.plugins_dir != new.plugins_dir),
        ("core_dumps", old.core_dumps != new.core_dumps),
        ("[ingress]", differ(&old.ingress, &new.ingress)),
        ("[admin] listen", old.admin.listen != new.admin.listen),
        ("[store]", differ(&old.store, &new.store)),
        ("[retention]", differ(&old.retention, &new.retention)),
        ("[engine]", differ(&old.engine, &new.engine)),
        ("host_key", old.host_key != new.host_key),
        ("[delivery]", differ(&old.delivery, &new.delivery)),
        ("[traces]", differ(&old.traces, &new.traces)),
        ("[log] format", old.log.format != new.log.format),
    ];
    pairs.into_iter().filter(|(_, changed)| *changed).map(|(key, _)| key).collect()
}
