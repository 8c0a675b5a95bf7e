//! Plugin versions pinned for one event, and which of them is called.
use std::sync::Arc;

use crate::registry::entry::Entry;
use crate::run::{Answer, Call, CallMode, Fault, SharedRuntime};
use crate::version::{Trial, Version};
use hookwright_model::Digest;
use hookwright_model::plugin::Mode;

/// Plugin versions of one moment: what one event goes through.
#[derive(Clone)]
pub struct Pinned {
    shared: Arc<SharedRuntime>,
    pins: Vec<Pin>,
}

#[derive(Clone)]
pub(crate) struct Pin {
    /// None where the settings have no such plugin.
    pub(crate) entry: Option<Arc<Entry>>,
    pub(crate) candidate: Option<Arc<Entry>>,
}

impl Pinned {
    pub(crate) fn new(shared: Arc<SharedRuntime>, pins: Vec<Pin>) -> Self {
        Self { shared, pins }
    }

    /// The number of names that were asked for.
    pub fn len(&self) -> usize {
        self.pins.len()
    }

    /// Whether no name was asked for.
    pub fn is_empty(&self) -> bool {
        self.pins.is_empty()
    }

    /// The digests of the active versions, in the order of the names.
    pub fn digests(&self) -> impl Iterator<Item = Option<Digest>> {
        self.pins.iter().map(|pin| Some(pin.entry.as_ref()?.version.as_ref()?.digest()))
    }

    /// Asks the plugin at that place of the names, or its candidate.
    pub async fn call(&self, place: usize, asked: &Call<'_>) -> Answer {
        let why = match self.pins.get(place) {
            Some(Pin { entry: Some(entry), candidate }) => match &entry.version {
                Some(version) => match candidate.as_deref().and_then(Entry::on_trial) {
                    None => return self.ask(entry, version, asked).await,
                    Some((new, trial)) => {
                        return self.tried(entry, version, new, trial, asked).await;
                    }
                },
                None => {
                    entry.trouble.as_ref().map_or_else(|| "not yet".into(), ToString::to_string)
                }
            },
            Some(Pin { entry: None, .. }) => "the settings have no plugin of that name".into(),
            None => "there is no such place in the pipeline".into(),
        };
        Answer::without_call(None, Fault::NotLoaded(why))
    }

    async fn ask(&self, entry: &Entry, version: &Version, asked: &Call<'_>) -> Answer {
        let shared = self.shared.as_ref();
        version.call(shared, shared.permit(&entry.permits, asked.mode), asked).await
    }

    async fn tried(
        &self,
        entry: &Entry,
        version: &Version,
        new: &Arc<Version>,
        trial: &Trial,
        asked: &Call<'_>,
    ) -> Answer {
        // Both are the same file, as after the candidate was copied over the old one.
        if new.digest() == version.digest() || trial.is_stopped() {
            return self.ask(entry, version, asked).await;
        }
        let counts = asked.mode != CallMode::Preview;
        let plugin = &entry.spec.name;
        if trial.picks(asked.event.id) {
            let answer = self.ask(entry, new, asked).await;
            if counts {
                trial.canary(plugin, new.digest(), &answer.result);
            }
            let fault = match &answer.result {
                Ok(_) | Err(Fault::Retry(_) | Fault::Reject(_)) => return answer,
                Err(fault) => format!("candidate {}: {fault}", new.digest().short()),
            };
            // A failed trial loses no event: the old version decides.
            drop(answer);
            let mut answer = self.ask(entry, version, asked).await;
            answer.log.insert(0, fault);
            return answer;
        }
        let answer = self.ask(entry, version, asked).await;
        match trial.mode {
            _ if !counts => {}
            Mode::Canary(_) => trial.incumbent(&answer.result),
            Mode::Shadow => self.shadow(entry, new, trial, asked, &answer),
        }
        answer
    }

    /// Calls the candidate too, in a background task.
    fn shadow(
        &self,
        entry: &Entry,
        new: &Arc<Version>,
        trial: &Trial,
        asked: &Call<'_>,
        old: &Answer,
    ) {
        let plugin = entry.spec.name.clone();
        // A shadow would outlast the time in which the suspected event is routed alone.
        let suspected = new.suspects(asked.event.id);
        let slot = trial.try_permit().filter(|_| !suspected);
        let slot = slot.and_then(|slot| Some((slot, self.shared.try_background_permit()?)));
        let Some((slot, permit)) = slot else {
            trial.skipped(&plugin, new.digest());
            return;
        };
        let (shared, new, trial) = (self.shared.clone(), new.clone(), trial.clone());
        let old = old.result.clone();
        let (event, body) = (asked.event.clone(), asked.body.clone());
        let (content_type, kind) = (asked.content_type.to_owned(), asked.kind.to_owned());
        let (attributes, replay) = (asked.attributes.to_vec(), asked.replay);
        tokio::spawn(async move {
            let _slot = slot;
            let asked = Call {
                event: &event,
                body: &body,
                content_type: &content_type,
                kind: &kind,
                attributes: &attributes,
                replay,
                mode: CallMode::Shadow,
            };
            let permit = std::future::ready(permit);
            let mut answer = new.call(&shared, permit, &asked).await;
            if let Err(Fault::Host(_)) = &answer.result {
                trial.skipped(&plugin, new.digest());
                return;
            }
            // Into a state of its own.
            if let (Ok(_), Some(changes)) = (&answer.result, answer.changes.take()) {
                changes.enter(&mut Vec::new());
            }
            trial.shadow(&plugin, new.digest(), &old, &answer.result);
        });
    }
}
