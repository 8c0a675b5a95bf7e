//! New settings while running: by SIGHUP, by the API, or when a file that they are read from changes.
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::ActiveConfig;
use super::files::Files;
use super::prepare::{Prepared, prepare};
use super::stages::{Stages, refused};
use super::traces::Exports;
use hookwright_admin::Tokens;
use hookwright_config::{Config, Mistakes, Prints, Seen, Sources};
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_server::Tls;
use hookwright_store::{AuditLog, Change};
use hookwright_telemetry::Levels;

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(2);
/// Reloads that wait for the one that is running.
const WAITING: usize = 16;

/// What a reload came to.
pub(super) type Answer = Result<Reloaded, Mistakes>;

/// The active settings.
#[derive(Debug)]
pub(super) struct Reloaded {
    /// The keys whose values differ from those before.
    pub(super) changed: Vec<String>,
    /// Of those, what takes a restart.
    pub(super) restart: Vec<String>,
    pub(super) warnings: Mistakes,
}

/// By which the API has the settings read again, one request after the other.
pub(super) struct Requests(mpsc::Sender<oneshot::Sender<Answer>>);

pub(super) type Requested = mpsc::Receiver<oneshot::Sender<Answer>>;

pub(super) fn requests() -> (Requests, Requested) {
    let (requests, requested) = mpsc::channel(WAITING);
    (Requests(requests), requested)
}

impl Requests {
    /// None where the host has no settings file, or stops.
    pub(super) async fn reload(&self) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        answer.await.ok()
    }
}

/// Activates new settings, in whatever can change while the host runs.
pub(super) struct Reloader {
    /// The settings file.
    pub(super) path: PathBuf,
    /// Those that are active; replaced once all others have taken the new ones.
    pub(super) config: ActiveConfig,
    pub(super) stages: Stages,
    pub(super) traces: Option<Exports>,
    pub(super) tokens: Tokens,
    pub(super) log: Option<Levels>,
    /// Of the ingress.
    pub(super) tls: Option<Tls>,
    /// Where a reload is written down that the API did not ask for.
    pub(super) audit: Arc<AuditLog>,
    pub(super) clock: Clock,
}

/// Reloads by signal, by request, and whenever a file that was `seen` changes, until the stop.
///
/// # Errors
/// The process can't listen for the signal.
pub(super) fn watch(
    reloader: Reloader,
    seen: Seen,
    mut requested: Requested,
    tasks: &Tasks,
) -> anyhow::Result<()> {
    let stop = tasks.stopping();
    let mut hang_up = signal(SignalKind::hangup())?;
    let certificates = reloader.tls.iter().flat_map(|tls| tls.files().paths());
    let certificates: Vec<PathBuf> = certificates.map(PathBuf::from).collect();
    let mut settings = Files::new(without(seen.prints(), &certificates));
    let mut served = Files::of(certificates.iter().cloned());
    tasks.spawn("settings", async move {
        let mut polls = tokio::time::interval(POLL);
        // Two polls at once would find that a file has settled which still changes.
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (told, reply) = tokio::select! {
                () = stop.cancelled() => return,
                _ = hang_up.recv() => (true, None),
                Some(reply) = requested.recv() => (true, Some(reply)),
                _ = polls.tick() => (false, None),
            };
            if tokio::task::block_in_place(|| served.is_due(told)) {
                reloader.reload_certificates();
            }
            if tokio::task::block_in_place(|| settings.is_due(told)) {
                let (prints, answer) = reloader.reload(reply.is_some()).await;
                settings.read(without(prints, &certificates));
                // Whoever asked may be gone.
                let _ = reply.map(|reply| reply.send(answer));
            }
        }
    });
    Ok(())
}

/// The ingress's certificates are read again by themselves.
fn without(mut prints: Prints, certificates: &[PathBuf]) -> Prints {
    prints.retain(|path, _| !certificates.contains(path));
    prints
}

impl Reloader {
    /// Connections from now on see what the files hold.
    fn reload_certificates(&self) {
        let Some(tls) = &self.tls else { return };
        let result = match tokio::task::block_in_place(|| tls.reload()) {
            Ok(()) => {
                tracing::info!("the certificate files were read again");
                "ok"
            }
            Err(error) => {
                tracing::error!(%error, "the active certificate stays");
                "refused"
            }
        };
        counter!(hookwright_model::metrics::CERTIFICATE_RELOADS, "result" => result).increment(1);
    }

    /// What every file held that it read, and what it came to. What the API asks for
    /// is in the audit log already.
    async fn reload(&self, requested: bool) -> (Prints, Answer) {
        let (sources, seen) = Sources::watched();
        let answer = self.try_reload(&sources).await;
        let file = self.path.display();
        let (result, status) = match &answer {
            Ok(Reloaded { changed, restart, .. }) => {
                for key in restart {
                    tracing::warn!(key, "a change of this setting takes a restart");
                }
                let changed = changed.join(", ");
                tracing::info!(%file, changed, "new settings are active");
                ("ok", 200)
            }
            Err(mistakes) => {
                let error = mistakes.render(false);
                tracing::error!(%file, "the old settings stay active");
                super::told_by_lines(&error);
                ("refused", 422)
            }
        };
        counter!(hookwright_model::metrics::RELOADS, "result" => result).increment(1);
        if !requested {
            let change = Change {
                who: "settings".to_owned(),
                from: None,
                action: "reload".to_owned(),
                path: file.to_string(),
                body: serde_json::Value::Null,
            };
            let now_ms = self.clock.now_ms();
            let noted = tokio::task::block_in_place(|| self.audit.note(now_ms, change, status));
            if let Err(error) = noted {
                tracing::error!(%error, "the audit log can't be written; the line waits in memory");
            }
        }
        (seen.prints(), answer)
    }

    async fn try_reload(&self, sources: &Sources) -> Answer {
        let read = || -> Result<(Config, Prepared), Mistakes> {
            let new = Config::load(&self.path, sources)?;
            let prepared = prepare(&new)?;
            Ok((new, prepared))
        };
        let (new, Prepared { destinations, .. }) = tokio::task::block_in_place(read)?;
        let old = self.config.read().clone();
        self.stages.reconfigure(&new, destinations).await?;
        self.tokens.replace(new.admin.tokens.clone());
        if let Some(log) = self.log.as_ref().filter(|_| old.log.level != new.log.level) {
            let followed = log.follow(new.log.level.as_str());
            followed.map_err(|error| refused(&new, "log.level", &error))?;
        }
        if let (Some(exports), Some(traces)) = (&self.traces, &new.traces) {
            exports.reconfigure(traces);
        }
        let changed = old.written.changes(&new.written);
        let fixed = changed.iter().filter(|change| is_fixed(&change.key, change.text));
        let restart = fixed.map(|change| change.key.clone()).collect();
        let changed = changed.into_iter().map(|change| change.key).collect();
        let warnings = new.warnings.clone();
        *self.config.write() = new;
        Ok(Reloaded { changed, restart, warnings })
    }
}

/// What is bound to sockets, folders, threads and listeners that exist already.
/// The ingress's certificates are not, unless others are named.
fn is_fixed(key: &str, text: bool) -> bool {
    const FIXED: [&str; 12] = [
        "data_dir",
        "plugins_dir",
        "core_dumps",
        "ingress",
        "admin.listen",
        "store",
        "retention",
        "engine",
        "host_key",
        "delivery",
        "traces",
        "log.format",
    ];
    let is_in = |outer: &str| {
        key.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    FIXED.into_iter().any(is_in) && !is_in("traces.headers") && (text || !is_in("ingress.tls"))
}

#[cfg(test)]
mod tests {
    use super::is_fixed;

    #[test]
    fn what_takes_a_restart_is_told_and_what_does_not_is_not() {
        for key in ["data_dir", "ingress", "ingress.listen", "traces.endpoint", "log.format"] {
            assert!(is_fixed(key, true), "{key}");
        }
        for key in ["ingresses", "log.level", "traces.headers.x-key", "destinations.ci.url"] {
            assert!(!is_fixed(key, true), "{key}");
        }
        assert!(is_fixed("ingress.tls.cert", true) && !is_fixed("ingress.tls.cert", false));
    }
}
