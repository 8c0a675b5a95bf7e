//! One plugin of the settings: its active version, and why its file's version is not active.
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::counter;
use tokio::sync::Semaphore;

use crate::gate::{About, Report};
use crate::registry::loader::LoadError;
use crate::registry::stamp::FileStamp;
use crate::version::{Quarantined, Trial, TrialCounts, Version};
use hookwright_model::metrics::{CANDIDATE_STOPS, PLUGIN_LOADS};
use hookwright_model::plugin::{Candidate, Mode, Spec};
use hookwright_model::{Digest, Name};

/// The state of one plugin, for the API and the console.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its name in the settings.
    pub name: Name,
    /// Its file, relative to the plugins directory.
    pub file: String,
    /// The active version; none where there is no good one.
    pub digest: Option<Digest>,
    /// What the active version says of itself.
    pub about: Option<About>,
    /// What the active version imports.
    pub imports: Vec<String>,
    /// What the settings grant it.
    pub grants: Vec<String>,
    /// Bytes of the component.
    pub size: Option<u64>,
    /// When the active version was loaded, in milliseconds since 1970.
    pub loaded_at_ms: Option<u64>,
    /// What makes its calls slower than necessary.
    pub warnings: Vec<String>,
    /// Why the file as it is now is not active; none where it is.
    pub last_error: Option<String>,
    /// The quarantine of an active version that fails for most events.
    pub quarantined: Option<Quarantined>,
    /// The candidate beside it.
    pub candidate: Option<CandidateStatus>,
    /// Calls in flight.
    pub instances: usize,
}

/// The state of a candidate, for the API and the console.
#[derive(Debug, Clone)]
pub struct CandidateStatus {
    /// Its file, relative to the plugins directory.
    pub file: String,
    /// The version on trial; none where there is no good one.
    pub digest: Option<Digest>,
    /// How it is tried.
    pub mode: Mode,
    /// The results of its calls.
    pub counts: TrialCounts,
    /// Why the file as it is now is not tried.
    pub last_error: Option<String>,
}

/// One plugin or candidate of the settings: its version, and what its file last came to.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) spec: Arc<Spec>,
    pub(crate) version: Option<Arc<Version>>,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) trouble: Option<Arc<LoadError>>,
    /// The file as it was when it was last tried.
    pub(crate) tried: Option<FileStamp>,
    /// Since when there is no file.
    pub(crate) gone: Option<Instant>,
    /// Where the entry is a candidate: how it is tried.
    pub(crate) trial: Option<Trial>,
}

impl Entry {
    pub(crate) fn new(spec: Spec, share: usize) -> Self {
        Self {
            spec: Arc::new(spec),
            version: None,
            permits: Arc::new(Semaphore::new(share)),
            trouble: None,
            tried: None,
            gone: None,
            trial: None,
        }
    }

    /// What the settings of one plugin ask for: the active version, and the candidate.
    pub(crate) fn of(mut spec: Spec, share: usize) -> impl Iterator<Item = Self> {
        let candidate = spec.candidate.take().map(|Candidate { file, mode }| {
            let mut spec = Spec { file, ..spec.clone() };
            // The counter of stopped canaries, which alerts watch from the start.
            spec.quarantine.calls = 0;
            counter!(CANDIDATE_STOPS, "plugin" => spec.name.to_string()).increment(0);
            Self { trial: Some(Trial::new(mode)), ..Self::new(spec, share) }
        });
        std::iter::once(Self::new(spec, share)).chain(candidate)
    }

    /// Whether other settings require the same version.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        let mode = |entry: &Self| entry.trial.as_ref().map(|trial| trial.mode);
        self.spec == other.spec && mode(self) == mode(other)
    }

    /// A candidate's version and its trial.
    pub(crate) fn on_trial(&self) -> Option<(&Arc<Version>, &Trial)> {
        Some((self.version.as_ref()?, self.trial.as_ref()?))
    }

    /// Puts a new version in its place.
    pub(crate) fn set_version(&mut self, version: Version) {
        self.version = Some(Arc::new(version));
        // A new version starts with a score of its own.
        self.trial = self.trial.as_ref().map(|trial| Trial::new(trial.mode));
    }

    fn as_candidate(&self) -> Option<CandidateStatus> {
        let trial = self.trial.as_ref()?;
        Some(CandidateStatus {
            file: self.spec.file.display().to_string(),
            digest: self.version.as_ref().map(|version| version.digest()),
            mode: trial.mode,
            counts: trial.counts(),
            last_error: self.trouble.as_ref().map(ToString::to_string),
        })
    }

    /// Records the result of the last attempt to load its file.
    pub(crate) fn note(&mut self, error: Option<&LoadError>) {
        self.trouble = error.cloned().map(Arc::new);
        self.gone = match error {
            Some(LoadError::Missing(_)) => self.gone.or_else(|| Some(Instant::now())),
            _ => None,
        };
    }

    /// Whether its version outlives its file for longer than that.
    pub(crate) fn is_orphaned(&self, grace: Duration) -> bool {
        self.version.is_some() && self.gone.is_some_and(|since| since.elapsed() >= grace)
    }

    pub(crate) fn status(&self, candidate: Option<&Self>, share: usize) -> Status {
        let report = self.version.as_ref().map(|version| &version.report);
        Status {
            name: self.spec.name.clone(),
            file: self.spec.file.display().to_string(),
            digest: report.map(|report| report.shape.digest),
            about: report.map(|report| report.about.clone()),
            imports: report.map(|report| report.shape.imports.clone()).unwrap_or_default(),
            grants: self.spec.grants.clone(),
            size: report.map(|report| report.shape.size),
            loaded_at_ms: self.version.as_ref().map(|version| version.loaded_at_ms),
            warnings: report.map(|report| report.warnings.clone()).unwrap_or_default(),
            last_error: self.trouble.as_ref().map(ToString::to_string),
            quarantined: self.version.as_ref().and_then(|version| version.quarantined()),
            candidate: candidate.and_then(Self::as_candidate),
            instances: share.saturating_sub(self.permits.available_permits()),
        }
    }
}

/// Says so where a file gave a new version or none.
pub(crate) fn announce(entry: &Entry, result: &Result<(Arc<Report>, bool), LoadError>) {
    let plugin = entry.spec.name.as_str();
    let outcome = match result {
        Ok((_, false)) => "unchanged",
        Ok((report, true)) => {
            let (digest, version) = (report.shape.digest.short(), &report.about.version);
            match &entry.trial {
                None => tracing::info!(plugin, digest, version, "a plugin version took over"),
                Some(trial) => {
                    let mode = trial.mode.to_string();
                    tracing::info!(plugin, digest, version, mode, "a candidate is on trial");
                }
            }
            for warning in &report.warnings {
                tracing::warn!(plugin, digest, "{warning}");
            }
            "loaded"
        }
        Err(error @ LoadError::Missing(_)) if entry.version.is_some() => {
            tracing::warn!(plugin, %error, "the plugin's file is gone; its version stays active for a moment");
            "missing"
        }
        Err(error) if entry.version.is_some() => {
            tracing::error!(plugin, %error, "no version can be loaded from the plugin's file; the active one stays");
            "refused"
        }
        Err(error) => {
            tracing::error!(plugin, %error, "the plugin has no active version");
            "refused"
        }
    };
    counter!(PLUGIN_LOADS, "plugin" => plugin.to_owned(), "result" => outcome).increment(1);
}
