//! What the admin side may ask of the running parts.
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::stages::Stages;
use super::{ActiveConfig, reload};
use hookwright_admin::{
    CandidateStatus, Control, DestinationStatus, LastAttempt, LastRejected, PluginStatus, Preview,
    PreviewFuture, PreviewRefused, QuarantineStatus, ReloadFuture, ReloadRefused, Reloaded,
    SettingsMistake, SourceStatus, Switch,
};
use hookwright_config::Mistakes;
use hookwright_delivery as delivery;
use hookwright_model::clock::{Clock, millis};
use hookwright_model::{Event, Outcome, Rejected};
use hookwright_routing as routing;
use hookwright_settings::To;
use hookwright_signing as signing;

/// Answers the admin side for the stages and the settings.
pub(super) struct HostControl {
    pub(super) config: ActiveConfig,
    pub(super) stages: Stages,
    /// Where the ingress listens, for those that have no public URL.
    pub(super) listens: SocketAddr,
    /// Whether it speaks TLS there.
    pub(super) secure: bool,
    /// Whether the host takes events.
    pub(super) ready: Arc<AtomicBool>,
    pub(super) reloads: reload::Requests,
}

impl Control for HostControl {
    fn ready(&self) -> bool {
        self.ready.load(Ordering::SeqCst)
    }

    fn sources(&self) -> Vec<SourceStatus> {
        let names =
            |list: &[hookwright_model::Name]| list.iter().map(ToString::to_string).collect();
        let config = self.config.read();
        let base = config.ingress.public_url.clone().unwrap_or_else(|| {
            format!("{}://{}", if self.secure { "https" } else { "http" }, self.listens)
        });
        // The token is a secret.
        let path = |name, tokens: &[_]| match tokens.is_empty() {
            true => format!("/in/{name}"),
            false => format!("/in/{name}/TOKEN"),
        };
        let status = config.sources.iter().map(|(name, source)| SourceStatus {
            name: name.to_string(),
            url: format!("{}{}", base.trim_end_matches('/'), path(name, &source.endpoint.tokens)),
            path: path(name, &source.endpoint.tokens),
            title: signing::title(&source.endpoint.verify).to_owned(),
            setup: signing::setup(&source.endpoint.verify),
            scheme: source.endpoint.verify.name().to_owned(),
            plugins: names(&source.plugins),
            destinations: names(&source.destinations),
            rejected: 0,
            last_rejected: None,
            anomalies: Vec::new(),
        });
        let mut status: Vec<SourceStatus> = status.collect();
        drop(config);
        for source in &mut status {
            let rejected = self.stages.ingress.rejected(&source.name).unwrap_or_default();
            source.rejected = rejected.len();
            source.last_rejected = rejected
                .first()
                .map(|last| LastRejected { at_ms: last.at_ms, reason: last.reason });
            let anomalies = self.stages.ingress.anomalies(&source.name).into_iter();
            source.anomalies = anomalies.map(hookwright_intake::http::Anomaly::as_str).collect();
        }
        status
    }

    fn rejected(&self, source: &str) -> Option<Vec<Rejected>> {
        self.stages.ingress.rejected(source)
    }

    fn without_tokens(&self, text: &str) -> String {
        self.stages.ingress.without_tokens(text)
    }

    fn destinations(&self) -> Vec<DestinationStatus> {
        let config = self.config.read();
        let url = |name: &str| {
            let lines = match &config.destinations.get(name)?.to {
                To::Post(post) => return Some(hookwright_egress::shown(&post.url)),
                To::Lines(lines) => lines,
            };
            let path = lines.file.as_ref().map(|file| format!("file:{}", file.path.display()));
            Some(path.unwrap_or_else(|| "stdout".to_owned()))
        };
        let status = self.stages.delivery.status().into_iter().map(|status| DestinationStatus {
            url: url(&status.destination).unwrap_or_default(),
            name: status.destination.to_string(),
            state: status.state.as_str().to_owned(),
            until_ms: status.until_ms,
            disabled: status.reason,
            in_flight: status.in_flight,
            limit: status.limit,
            failures: status.failures,
            failing_since_ms: status.failing_since_ms,
            last: status.last.map(last),
        });
        status.collect()
    }

    fn plugins(&self) -> Vec<PluginStatus> {
        let now_ms = Clock::system().now_ms();
        let status = self.stages.plugins.status().into_iter().map(|status| PluginStatus {
            name: status.name.to_string(),
            file: status.file,
            digest: status.digest.map(|digest| digest.to_string()),
            summary: status.about.as_ref().map(|about| about.summary.clone()),
            version: status.about.as_ref().map(|about| about.version.clone()),
            imports: status.imports,
            grants: status.grants,
            quarantine: status.quarantined.map(|quarantined| QuarantineStatus {
                since_ms: now_ms.saturating_sub(millis(quarantined.lasts)),
                next_probe_ms: quarantined
                    .next_probe
                    .map(|wait| now_ms.saturating_add(millis(wait))),
                why: quarantined.why,
            }),
            candidate: status.candidate.map(candidate),
            error: status.last_error,
        });
        status.collect()
    }

    fn preview(&self, event: Arc<Event>) -> PreviewFuture<'_> {
        Box::pin(async move {
            let routed =
                self.stages.router.preview(&event).await.map_err(|refused| match refused {
                    routing::PreviewRefused::NoSource => PreviewRefused::NoSource,
                    routing::PreviewRefused::Busy => PreviewRefused::Busy,
                })?;
            let deliveries = routed.deliveries.into_iter();
            Ok(Preview {
                state: routed.state,
                reason: routed.reason,
                verdicts: routed.verdicts,
                deliveries: deliveries
                    .map(|one| (one.destination.to_string(), one.payload))
                    .collect(),
            })
        })
    }

    fn reload(&self) -> ReloadFuture<'_> {
        Box::pin(async move {
            match self.reloads.reload().await {
                None => Err(ReloadRefused::Impossible),
                Some(Err(mistakes)) => Err(ReloadRefused::Mistakes(told(&mistakes))),
                Some(Ok(reload::Reloaded { changed, restart, warnings })) => {
                    Ok(Reloaded { changed, restart, warnings: told(&warnings) })
                }
            }
        })
    }

    fn switch(&self, destination: &str, to: Switch) -> Result<(), String> {
        let done = tokio::runtime::Handle::current().block_on(async {
            match to {
                Switch::Enable => self.stages.delivery.enable(destination).await,
                Switch::Disable(reason) => self.stages.delivery.disable(destination, &reason).await,
                Switch::Pause(lasts) => self.stages.delivery.pause(destination, lasts).await,
                Switch::CloseBreaker => self.stages.delivery.close_breaker(destination),
            }
        });
        done.map_err(|error| error.to_string())
    }
}

fn told(mistakes: &Mistakes) -> Vec<SettingsMistake> {
    let told = mistakes.iter().map(|mistake| SettingsMistake {
        place: mistake.place.to_string(),
        key: mistake.key.clone(),
        message: mistake.message.clone(),
        help: mistake.help.clone(),
    });
    told.collect()
}

fn last(last: delivery::Last) -> LastAttempt {
    LastAttempt {
        at_ms: last.at_ms,
        good: last.outcome.is_success(),
        outcome: match last.outcome {
            Outcome::Answered { status, .. } => status.to_string(),
            Outcome::Failed { cause, message } => format!("{}: {message}", cause.as_str()),
            Outcome::Accepted => "taken".to_owned(),
        },
    }
}

fn candidate(status: hookwright_plugins::CandidateStatus) -> CandidateStatus {
    let counts = status.counts;
    CandidateStatus {
        file: status.file,
        digest: status.digest.map(|digest| digest.to_string()),
        mode: status.mode.to_string(),
        same: counts.same,
        different: counts.different,
        failed: counts.failed,
        mended: counts.mended,
        skipped: counts.skipped,
        stopped: counts.stopped,
        error: status.last_error,
    }
}
