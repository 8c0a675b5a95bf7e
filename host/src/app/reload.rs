//! New settings while running: by SIGHUP, by the API, or when a file that they are read from changes.
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::metrics::counter;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use super::files::Files;
use super::prepare::{Prepared, prepare};
use super::{Parts, Watched, options, plugins, sources};
use hookwright_config::{Config, Mistakes, Prints, Sources};
use hookwright_store::Change;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// Reloads that wait for one under way.
const WAITING: usize = 16;

/// What a reload came to.
pub(super) type Answer = Result<Reloaded, Mistakes>;

/// What is in force now.
#[derive(Debug)]
pub(super) struct Reloaded {
    /// The keys whose values differ from those before.
    pub(super) changed: Vec<String>,
    /// Of those, what takes a restart.
    pub(super) restart: Vec<String>,
    pub(super) warnings: Mistakes,
}

/// Asks for reloads, one after the other.
pub(super) struct Asks(mpsc::Sender<oneshot::Sender<Answer>>);

pub(super) type Asked = mpsc::Receiver<oneshot::Sender<Answer>>;

pub(super) fn asks() -> (Asks, Asked) {
    let (asks, asked) = mpsc::channel(WAITING);
    (Asks(asks), asked)
}

impl Asks {
    /// None where the host has no settings file, or stops.
    pub(super) async fn reload(&self) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        answer.await.ok()
    }
}

pub(super) fn watch(watched: Watched, mut asked: Asked, parts: Arc<Parts>) -> anyhow::Result<()> {
    let Watched { path, seen } = watched;
    let stop = parts.work.stopping();
    let tasks = parts.work.clone();
    let mut hang_up = signal(SignalKind::hangup())?;
    let certificates = parts.tls.iter().flat_map(|tls| tls.files().paths()).map(PathBuf::from);
    let certificates: Vec<PathBuf> = certificates.collect();
    let mut settings = Files::new(without(seen.prints(), &certificates));
    let mut served = Files::of(certificates.iter().cloned());
    tasks.spawn("settings", async move {
        let mut looks = tokio::time::interval(LOOK);
        // Two looks at once would find that a file has settled which still changes.
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (told, reply) = tokio::select! {
                () = stop.cancelled() => return,
                _ = hang_up.recv() => (true, None),
                Some(reply) = asked.recv() => (true, Some(reply)),
                _ = looks.tick() => (false, None),
            };
            if tokio::task::block_in_place(|| served.is_due(told)) {
                reload_certificates(&parts);
            }
            if tokio::task::block_in_place(|| settings.is_due(told)) {
                let (prints, answer) = reload(&path, &parts, reply.is_some()).await;
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
    counter!(hookwright_model::metrics::CERTIFICATE_RELOADS, "result" => result).increment(1);
}

/// What every file held that it read, and what it came to. What the API asks for
/// is in the audit log already.
async fn reload(path: &Path, parts: &Parts, asked: bool) -> (Prints, Answer) {
    let (sources, seen) = Sources::watched();
    let answer = try_reload(path, &sources, parts).await;
    let file = path.display();
    let (result, status) = match &answer {
        Ok(Reloaded { changed, restart, .. }) => {
            for key in restart {
                tracing::warn!(key, "a change of this setting takes a restart");
            }
            let changed = changed.join(", ");
            tracing::info!(%file, changed, "new settings are in force");
            ("ok", 200)
        }
        Err(mistakes) => {
            let error = mistakes.render(false);
            tracing::error!(%file, "the old settings stay in force");
            super::told_by_lines(&error);
            ("refused", 422)
        }
    };
    counter!(hookwright_model::metrics::RELOADS, "result" => result).increment(1);
    if !asked {
        let change = Change {
            who: "settings".to_owned(),
            from: None,
            action: "reload".to_owned(),
            path: file.to_string(),
            body: serde_json::Value::Null,
        };
        let now_ms = parts.clock.now_ms();
        let noted = tokio::task::block_in_place(|| parts.audit.note(now_ms, change, status));
        if let Err(error) = noted {
            tracing::error!(%error, "the audit log can't be written; the line waits in memory");
        }
    }
    (seen.prints(), answer)
}

async fn try_reload(path: &Path, sources: &Sources, parts: &Parts) -> Answer {
    let read = || -> Result<(Config, Prepared), Mistakes> {
        let new = Config::load(path, sources)?;
        let prepared = prepare(&new)?;
        Ok((new, prepared))
    };
    let (new, Prepared { destinations, .. }) = tokio::task::block_in_place(read)?;
    let old = parts.config.read().clone();
    // What may refuse comes first. Pipelines change while the plugins of both
    // settings answer.
    let prepared = parts.plugins.prepare(options::specs(&new)).await;
    let plugins = prepared.map_err(|error| {
        let failed = error.0.iter().map(|(plugin, error)| (plugin, error));
        plugins::all_mistakes(&new, failed)
    })?;
    let refused = |key: &str, error: &dyn std::fmt::Display| {
        let help = "the log of the host tells more".to_owned();
        Mistakes::from(new.written.mistake_at(key, error.to_string(), help))
    };
    // It reads the machine's certificates.
    let changed = parts.delivery.reconfigure(destinations);
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(changed))
        .map_err(|error| refused("destinations", &error))?;
    plugins.take_over();
    parts.router.reconfigure(options::pipelines(&new));
    parts.ingress.reconfigure(&sources::sources(&new));
    plugins.finish();
    parts.tokens.replace(new.admin.tokens.clone());
    if let Some(log) = parts.log.as_ref().filter(|_| old.log.level != new.log.level) {
        log.follow(new.log.level.as_str()).map_err(|error| refused("log.level", &error))?;
    }
    if let (Some(exports), Some(traces)) = (&parts.traces, &new.traces) {
        exports.reconfigure(traces);
    }
    let changed = old.written.changes(&new.written);
    let fixed = changed.iter().filter(|change| is_fixed(&change.key, change.text));
    let restart = fixed.map(|change| change.key.clone()).collect();
    let changed = changed.into_iter().map(|change| change.key).collect();
    let warnings = new.warnings.clone();
    *parts.config.write() = new;
    Ok(Reloaded { changed, restart, warnings })
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
