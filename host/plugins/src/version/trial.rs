//! The trial of a candidate version: which events it sees, how it performs, and when it is stopped.
use std::sync::Arc;

use ::metrics::counter;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::run::{Fault, Verdict};
use hookwright_model::metrics::{CANDIDATE_CALLS, CANDIDATE_STOPS};
use hookwright_model::plugin::Mode;
use hookwright_model::{Digest, EventId, Name};

/// Shadow calls of one candidate at a time; events beyond them are left out.
const SHADOWS: usize = 16;
/// Calls of a canary before it is judged.
const LEAST: u64 = 20;
/// Percentage points by which its failure rate may exceed the active version's.
const MARGIN: u64 = 5;
/// Calls after which the older ones count half.
const AGE: u64 = 1_000;

/// Whether the candidate decides about the event: the same for each replay.
///
/// The remainder, and not the high bits as in [`Share::holds`](hookwright_model::Share::holds),
/// picks: another rule would change which events a running canary decides about.
pub(crate) fn picks(mode: Mode, event: EventId) -> bool {
    let Mode::Canary(percent) = mode else { return false };
    let sha = Sha256::digest(event.to_string());
    let start: [u8; 8] = sha.first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(start) % 100 < u64::from(percent)
}

/// What a candidate's calls came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrialCounts {
    /// It gave the same verdict as the active version, or was asked alone.
    pub same: u64,
    /// It decided differently from the active version.
    pub different: u64,
    /// It failed.
    pub failed: u64,
    /// It decided where the active version failed.
    pub mended: u64,
    /// Shadow calls left out since too many were in flight.
    pub skipped: u64,
    /// Why a canary gets no more events.
    pub stopped: Option<String>,
}

/// The trial of one candidate: its counts, and whether it is stopped.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) mode: Mode,
    score: Arc<Mutex<Score>>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct Score {
    counts: TrialCounts,
    new: Rate,
    old: Rate,
}

#[derive(Debug, Default, Clone, Copy)]
struct Rate {
    calls: u64,
    failed: u64,
}

impl Rate {
    fn add(&mut self, failed: bool) {
        if self.calls >= AGE {
            (self.calls, self.failed) = (self.calls / 2, self.failed / 2);
        }
        self.calls += 1;
        self.failed += u64::from(failed);
    }
}

impl Trial {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, score: Arc::default(), permits: Arc::new(Semaphore::new(SHADOWS)) }
    }

    /// Whether the event is the candidate's to decide.
    pub(crate) fn picks(&self, event: EventId) -> bool {
        picks(self.mode, event)
    }

    pub(crate) fn counts(&self) -> TrialCounts {
        self.score.lock().counts.clone()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.score.lock().counts.stopped.is_some()
    }

    /// A place for one shadow call; none where too many are in flight.
    pub(crate) fn try_permit(&self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        self.permits.clone().try_acquire_owned().ok()
    }

    /// What the active version did with an event of its own.
    pub(crate) fn incumbent(&self, result: &Result<Verdict, Fault>) {
        self.score.lock().old.add(is_failure(result));
    }

    /// What a canary did with its event.
    pub(crate) fn canary(&self, plugin: &Name, digest: Digest, result: &Result<Verdict, Fault>) {
        let mut score = self.score.lock();
        let failed = is_failure(result);
        score.new.add(failed);
        let outcome = if failed { Outcome::Failed } else { Outcome::Same };
        score.note(outcome, plugin, digest);
        if score.counts.stopped.is_none()
            && let Some(why) = judge(score.new, score.old)
        {
            let digest = digest.short();
            tracing::error!(
                plugin = plugin.as_str(),
                digest,
                why,
                "the candidate is stopped: all events go to the active version"
            );
            counter!(CANDIDATE_STOPS, "plugin" => plugin.to_string()).increment(1);
            score.counts.stopped = Some(why);
        }
    }

    /// What a shadow did beside the active version.
    pub(crate) fn shadow(
        &self,
        plugin: &Name,
        digest: Digest,
        old: &Result<Verdict, Fault>,
        new: &Result<Verdict, Fault>,
    ) {
        self.score.lock().note(compare(old, new), plugin, digest);
    }

    pub(crate) fn skipped(&self, plugin: &Name, digest: Digest) {
        self.score.lock().note(Outcome::Skipped, plugin, digest);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Same,
    Different,
    Failed,
    Mended,
    Skipped,
}

impl Score {
    fn note(&mut self, outcome: Outcome, plugin: &Name, digest: Digest) {
        let counts = &mut self.counts;
        let (count, label) = match outcome {
            Outcome::Same => (&mut counts.same, "same"),
            Outcome::Different => (&mut counts.different, "different"),
            Outcome::Failed => (&mut counts.failed, "failed"),
            Outcome::Mended => (&mut counts.mended, "mended"),
            Outcome::Skipped => (&mut counts.skipped, "skipped"),
        };
        *count += 1;
        let labels = [
            ("plugin", plugin.to_string()),
            ("digest", digest.short()),
            ("outcome", label.to_owned()),
        ];
        counter!(CANDIDATE_CALLS, &labels).increment(1);
    }
}

/// To ask for another try or to reject an event is not a failure of a plugin.
fn is_failure(result: &Result<Verdict, Fault>) -> bool {
    result.as_ref().err().is_some_and(Fault::is_failure)
}

fn compare(old: &Result<Verdict, Fault>, new: &Result<Verdict, Fault>) -> Outcome {
    match (is_failure(old), is_failure(new)) {
        (false, true) => Outcome::Failed,
        (true, false) => Outcome::Mended,
        (true, true) => Outcome::Same,
        (false, false) if old == new => Outcome::Same,
        (false, false) => Outcome::Different,
    }
}

/// Why the new version is to be stopped.
fn judge(new: Rate, old: Rate) -> Option<String> {
    let calls = old.calls.max(1);
    let worse = new.failed * 100 * calls > (old.failed * 100 + MARGIN * calls) * new.calls;
    (new.calls >= LEAST && worse).then(|| {
        format!(
            "{} of its {} calls failed, of the active version {} of {}",
            new.failed, new.calls, old.failed, old.calls
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rate(failed: u64, calls: u64) -> Rate {
        Rate { calls, failed }
    }

    #[test]
    fn a_canary_is_stopped_where_it_fails_more_than_the_old_one() {
        assert!(judge(rate(19, 19), rate(0, 100)).is_none(), "too few to judge");
        assert!(judge(rate(1, 20), rate(0, 100)).is_none(), "within the margin");
        let why = judge(rate(2, 20), rate(0, 100)).unwrap();
        assert_eq!(why, "2 of its 20 calls failed, of the active version 0 of 100");
        assert!(judge(rate(10, 20), rate(50, 100)).is_none(), "as bad as the old one");
        assert!(judge(rate(12, 20), rate(50, 100)).is_some());
        assert!(judge(rate(2, 20), rate(0, 0)).is_some(), "nobody to compare it with");
    }

    #[test]
    fn one_that_goes_bad_late_is_stopped_too() {
        let (mut new, mut old) = (Rate::default(), Rate::default());
        for _ in 0..100_000 {
            new.add(false);
            old.add(false);
        }
        let late = (0..).take_while(|_| {
            new.add(true);
            judge(new, old).is_none()
        });
        assert!(late.count() < 100);
    }

    #[test]
    fn verdicts_are_compared() {
        let (pass, drop) = (Ok(Verdict::Pass), Ok(Verdict::Drop("x".into())));
        let (fails, rejects) = (Err(Fault::Other("x".into())), Err(Fault::Reject("x".into())));
        for (old, new, outcome) in [
            (&pass, &pass, Outcome::Same),
            (&pass, &drop, Outcome::Different),
            (&pass, &fails, Outcome::Failed),
            (&fails, &pass, Outcome::Mended),
            (&fails, &fails, Outcome::Same),
            (&rejects, &rejects, Outcome::Same),
            (&pass, &rejects, Outcome::Different),
        ] {
            assert_eq!(compare(old, new), outcome, "{old:?} {new:?}");
        }
    }

    /// A replay after an upgrade of the host goes to the same version as before it.
    #[test]
    fn a_canary_picks_the_same_events_in_every_version_of_the_host() {
        let picked = |percent| {
            let ids = (0..200).map(|number| (number, EventId::new(number, 7)));
            let picked = ids.filter(|(_, id)| picks(Mode::Canary(percent), *id));
            picked.map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(picked(5), [14, 54, 71, 83, 96, 153, 159, 162, 164, 181]);
        assert_eq!(picked(1), [71, 153, 181]);
    }

    #[test]
    fn shadows_are_bounded() {
        let trial = Trial::new(Mode::Shadow);
        let permits: Vec<_> = (0..SHADOWS).map(|_| trial.try_permit().unwrap()).collect();
        assert!(trial.try_permit().is_none());
        drop(permits);
        assert!(trial.try_permit().is_some());
    }

    proptest! {
        #[test]
        fn a_share_of_events_is_picked_and_a_smaller_share_is_part_of_it(
            start in 0i64..1 << 40, node in any::<u64>()
        ) {
            let picked = |percent| {
                let ids = (0..2_000).map(|number| EventId::new(start + number, node));
                ids.filter(|id| picks(Mode::Canary(percent), *id)).collect::<Vec<_>>()
            };
            let (few, many) = (picked(5), picked(50));
            prop_assert!((40..180).contains(&few.len()), "{}", few.len());
            prop_assert!((850..1_150).contains(&many.len()), "{}", many.len());
            prop_assert!(few.iter().all(|id| many.contains(id)));
            prop_assert!(picked(0).is_empty() && picked(100).len() == 2_000);
        }
    }
}
