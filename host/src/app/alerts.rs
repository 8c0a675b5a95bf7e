//! Looks for what is wrong, and sends alerts as events of the host's own, by its own delivery.
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::ActiveConfig;
use super::alert_routes::channels;
use super::stages::Stages;
use hookwright_admin::alerts::{self, Change, Rule, Shape, Sign, Told, Watch};
use hookwright_config::AlertsConfig;
use hookwright_delivery::State;
use hookwright_model::Name;
use hookwright_model::clock::{Clock, millis};
use hookwright_model::tasks::Tasks;
use hookwright_store::{EventLog, Fault, Maintenance, NewEvent, Note, Queries};

/// What was told, beside the store.
const TOLD: &str = "alerts.json";
/// New dead letters are a sign for so long; those from before a start, from the start on.
const DEAD_MS: u64 = 600_000;
/// A source's usual number is known, and its last minutes are over, so long after a start.
const LEARNT_MS: u64 = 1_800_000;

/// What alerts are about: asked at each check, never told.
pub(super) struct Observed {
    pub(super) config: ActiveConfig,
    /// Tells the backlogs.
    pub(super) queries: Arc<dyn Queries>,
    /// Tells what is wrong with the store itself.
    pub(super) maintenance: Arc<dyn Maintenance>,
    pub(super) stages: Stages,
}

/// Starts the look-out; it sees new settings at its next look. Its alerts are events of the log.
pub(super) fn start(observed: Observed, events: Arc<dyn EventLog>, clock: Clock, tasks: &Tasks) {
    let stop = tasks.stopping();
    tasks.spawn("alerts", async move {
        let mut lookout = Lookout::new(observed, events, clock);
        // What is dead by now was so before this start.
        lookout.count_dead().await;
        loop {
            let config = lookout.observed.config.read().alerts.clone();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(config.every) => {}
            }
            if config.is_on() {
                lookout.look(&config).await;
            }
        }
    });
}

/// Turns what is wrong with what it watches into alerts, and remembers which were told.
struct Lookout {
    observed: Observed,
    events: Arc<dyn EventLog>,
    clock: Clock,
    watch: Watch,
    kept: Arc<Note>,
    /// None until it could be read.
    told: Option<Told>,
    dead: HashMap<String, Dead>,
    /// When what was told before this start was read.
    resumed_ms: u64,
}

/// What the last look could not judge, and so does not end.
#[derive(Default)]
struct Unjudged {
    /// Destinations that fail as far as is known: nothing went well since the start.
    failing: HashSet<String>,
    /// The store did not say what waits and what is dead.
    backlogs: bool,
    /// What is usual for a source is not known yet.
    sources: bool,
    /// The disk did not say what is free.
    disk: bool,
}

impl Unjudged {
    fn has(&self, rule: Rule, subject: &str) -> bool {
        match rule {
            Rule::DestinationFailing => self.failing.contains(subject),
            Rule::DestinationBehind | Rule::DeadLetters => self.backlogs,
            Rule::SourceUnusual => self.sources,
            Rule::DiskLow => self.disk,
            _ => false,
        }
    }
}

/// A destination's dead letters, as they were last counted.
#[derive(Default)]
struct Dead {
    count: u64,
    /// When there were last more than before.
    grew_ms: Option<u64>,
}

impl Lookout {
    fn new(observed: Observed, events: Arc<dyn EventLog>, clock: Clock) -> Self {
        let watch = Watch::new(Duration::ZERO, Duration::ZERO);
        let kept = Arc::new(Note::new(&observed.config.read().data_dir, TOLD));
        let (told, dead, resumed_ms) = (None, HashMap::new(), 0);
        Self { observed, events, clock, watch, kept, told, dead, resumed_ms }
    }

    async fn count_dead(&mut self) {
        let Ok(backlogs) = self.observed.queries.backlog().await else {
            return;
        };
        for backlog in backlogs {
            self.dead.insert(backlog.destination, Dead { count: backlog.dead, grew_ms: None });
        }
    }

    async fn look(&mut self, config: &AlertsConfig) {
        let now_ms = self.clock.now_ms();
        self.watch.set(config.hold, config.clear);
        let mut told = match self.told.take() {
            Some(told) => told,
            None => match read(&self.kept).await {
                Ok(told) => {
                    self.resume(&told, now_ms);
                    told
                }
                Err(error) => {
                    let file = TOLD;
                    return tracing::error!(file, %error, "what alerts were told can't be read; they wait");
                }
            },
        };
        let mut signs = Vec::new();
        let mut unjudged = Unjudged {
            failing: self.observed.destinations(config, &mut signs),
            backlogs: !self.backlogs(config, now_ms, &mut signs).await,
            sources: now_ms.abs_diff(self.resumed_ms) < LEARNT_MS,
            disk: false,
        };
        self.observed.sources(&mut signs);
        self.observed.plugins(&mut signs);
        // Nothing is known of them where it can't be told; the next look tells.
        let faults = self.observed.maintenance.faults().await.unwrap_or_default();
        unjudged.disk = !self.observed.host(config, faults, &mut signs);
        let changes = self.watch.look(now_ms, signs, |rule, subject| unjudged.has(rule, subject));
        for change in changes {
            let (key, state, what) = (change.key(), change.state.as_str(), change.what);
            tracing::warn!(alert = key, state, what, "an alert");
        }
        let before = told.clone();
        for (source, shape, _) in channels(config) {
            for change in told.due(&source, &self.watch.standing(), now_ms) {
                if send(self.events.as_ref(), source.clone(), &shape, &change).await {
                    told.note(&source, &change);
                }
            }
        }
        if told != before {
            write(&self.kept, &told).await;
        }
        self.told = Some(told);
    }

    /// Takes up what was told before this start. When dead letters came is not
    /// written down, so their quiet time runs from now.
    fn resume(&mut self, told: &Told, now_ms: u64) {
        self.resumed_ms = now_ms;
        let standing = told.standing();
        for change in standing.iter().filter(|change| change.rule == Rule::DeadLetters) {
            if let Some(dead) = self.dead.get_mut(&change.subject) {
                dead.grew_ms = Some(now_ms);
            }
        }
        self.watch.resume(standing, now_ms);
    }

    /// False where the store did not say.
    async fn backlogs(
        &mut self,
        config: &AlertsConfig,
        now_ms: u64,
        signs: &mut Vec<Sign>,
    ) -> bool {
        let Ok(backlogs) = self.observed.queries.backlog().await else {
            return false;
        };
        let known = self.observed.stages.delivery.names();
        for backlog in backlogs {
            let is_known = known.contains(backlog.destination.as_str());
            let age_ms = backlog.oldest_ms.map_or(0, |oldest| now_ms.saturating_sub(oldest));
            if !config.backlog_age.is_zero() && age_ms > millis(config.backlog_age) {
                let (age, waiting) = (age_ms / 1_000, backlog.waiting);
                let mut what = format!("{waiting} deliveries wait, the oldest for {age} s");
                if !is_known {
                    what.push_str("; the settings have no such destination any more: put it back, or discard what waits");
                }
                signs.push(sign(Rule::DestinationBehind, &backlog.destination, what));
            }
            // One that had nothing before begins at 0: its first dead letters are news.
            let dead = self.dead.entry(backlog.destination.clone()).or_default();
            // A clock that was ahead does not keep it firing until then.
            dead.grew_ms = dead.grew_ms.map(|grew| grew.min(now_ms));
            // A person discarded those of a destination that was removed.
            if backlog.dead > dead.count && is_known {
                dead.grew_ms = Some(now_ms);
            }
            dead.count = backlog.dead;
            if dead.grew_ms.is_some_and(|grew| now_ms.saturating_sub(grew) < DEAD_MS) {
                let what = format!("deliveries were given up; {} are dead", dead.count);
                signs.push(sign(Rule::DeadLetters, &backlog.destination, what));
            }
        }
        true
    }
}

fn sign(rule: Rule, subject: &str, what: String) -> Sign {
    Sign { rule, subject: subject.to_owned(), what }
}

impl Observed {
    /// Gives those of which nothing tells yet that they are well: what failed before
    /// a start ends by a success, as it does without one.
    fn destinations(&self, config: &AlertsConfig, signs: &mut Vec<Sign>) -> HashSet<String> {
        let mut unjudged = HashSet::new();
        for status in self.stages.delivery.status() {
            let name = status.destination.as_str();
            if !status.succeeded && status.state != State::Disabled {
                unjudged.insert(name.to_owned());
            }
            if status.state == State::Disabled {
                let what = status.reason.unwrap_or_else(|| "it is disabled".to_owned());
                signs.push(sign(Rule::DestinationDisabled, name, what));
            } else if config.failures > 0 && status.failures >= config.failures {
                let what = format!("{} attempts failed, one after the other", status.failures);
                signs.push(sign(Rule::DestinationFailing, name, what));
            } else if matches!(status.state, State::BreakerOpen | State::Probing) {
                let what = "most attempts fail: its breaker is open".to_owned();
                signs.push(sign(Rule::DestinationFailing, name, what));
            }
        }
        unjudged
    }

    fn sources(&self, signs: &mut Vec<Sign>) {
        let names: Vec<Name> = self.config.read().sources.keys().cloned().collect();
        for name in names {
            let found = self.stages.ingress.anomalies(name.as_str());
            let found: Vec<&str> =
                found.into_iter().map(hookwright_intake::http::Anomaly::as_str).collect();
            if !found.is_empty() {
                signs.push(sign(Rule::SourceUnusual, name.as_str(), found.join(", ")));
            }
        }
    }

    fn plugins(&self, signs: &mut Vec<Sign>) {
        for status in self.stages.plugins.status() {
            let name = status.name.as_str();
            if let Some(quarantined) = status.quarantined {
                signs.push(sign(Rule::PluginQuarantined, name, quarantined.why));
            }
            if let Some(error) = status.last_error {
                signs.push(sign(Rule::PluginRefused, name, error));
            }
        }
    }

    /// False where the disk did not say what is free.
    fn host(&self, config: &AlertsConfig, faults: Vec<Fault>, signs: &mut Vec<Sign>) -> bool {
        if !self.maintenance.healthy() {
            signs.push(sign(Rule::StoreFailing, "", "the store can't be written".to_owned()));
        }
        for fault in faults {
            signs.push(sign(Rule::StoreDamaged, &fault.subject, fault.what));
        }
        let settings = self.config.read();
        let room = rustix::fs::statvfs(&settings.data_dir);
        if let Ok(room) = &room {
            let free = room.f_bavail.saturating_mul(room.f_frsize);
            if free < config.disk_free {
                let what = format!("{} MiB are free where the store is", free >> 20);
                signs.push(sign(Rule::DiskLow, "", what));
            }
        }
        if let Some(tls) = &settings.ingress.tls
            && let Some(what) = ends_soon(&tls.cert, config.certificate)
        {
            signs.push(sign(Rule::CertificateEnds, &tls.cert.display().to_string(), what));
        }
        room.is_ok()
    }
}

fn ends_soon(file: &Path, soon: Duration) -> Option<String> {
    // A file that can't be read is told by the reload that tried.
    let end = hookwright_server::certificate_end(file).ok()?;
    match end.duration_since(SystemTime::now()) {
        Err(_) => Some("the ingress's certificate is over".to_owned()),
        Ok(left) if left < soon => {
            Some(format!("the ingress's certificate ends in {} days", left.as_secs() / 86_400))
        }
        Ok(_) => None,
    }
}

async fn read(kept: &Arc<Note>) -> io::Result<Told> {
    let kept = kept.clone();
    let read = tokio::task::spawn_blocking(move || kept.read()).await;
    let read = read.unwrap_or_else(|_| Err(io::Error::other("reading it panicked")))?;
    Ok(read.map(|bytes| Told::read(&bytes)).unwrap_or_default())
}

/// Where that fails, a restart may tell some of it again.
async fn write(kept: &Arc<Note>, told: &Told) {
    let (kept, bytes) = (kept.clone(), told.bytes());
    let written = tokio::task::spawn_blocking(move || kept.write(&bytes)).await;
    if let Ok(Err(error)) = written {
        tracing::error!(file = TOLD, %error, "what alerts were told is not written down");
    }
}

/// True where it was taken; else it is tried again at the next look.
async fn send(events: &dyn EventLog, source: Name, shape: &Shape, change: &Change) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let event = NewEvent {
        source,
        kind: alerts::kind(change).into(),
        headers,
        body: alerts::body(change, shape).into(),
        dedupe: None,
    };
    let appended = events.append(event).await;
    if let Err(error) = &appended {
        // The log has it; a store that can't write can't tell by itself.
        tracing::error!(alert = change.key(), %error, "an alert could not be sent");
    }
    appended.is_ok()
}
