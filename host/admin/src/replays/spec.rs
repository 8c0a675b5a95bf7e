//! What a bulk replay is asked to do, and one step of it.
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::params::Millis;
use super::super::problem::Problem;
use super::filter::Filter;
use hookwright_model::{DeliveryState, EventId, ReplayJob, ReplayState};
use hookwright_store::{EventQuery, EventRow, Jobs, Queries, StoreError, WorkQueue};

/// Events that one step looks at, at the most: so many are done again where the
/// host is killed in between.
const STEP: usize = 64;
/// Of a second's events, so many a step takes, so that a low rate is an even one.
const STEPS_A_SECOND: usize = 4;

/// What to replay, and how. At least one field of `filter` that chooses, or `recover`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(as = ReplayRequest)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// Which events; `limit` is how many in all.
    #[serde(default)]
    filter: Filter,
    /// Send to this destination again what was sent before.
    destination: Option<String>,
    /// Send again what was sent before, each delivery that the filter chooses.
    #[serde(default)]
    original: bool,
    /// Events a second; none: as fast as the store takes them.
    #[schema(minimum = 1)]
    rate: Option<u32>,
    /// All that is dead for a destination, instead of the others.
    recover: Option<Recover>,
}

/// All that is dead for a destination.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Recover {
    destination: String,
    /// Milliseconds since 1970, inclusive.
    since: Millis,
}

/// What a job is to do, as it is kept with the job: its row holds it as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct JobSpec {
    pub(super) filter: Filter,
    pub(super) way: Way,
    pub(super) rate: Option<u32>,
    /// Only events up to this one: the newest when the job was asked for. The
    /// time alone does not say it, since clocks are set back.
    #[serde(default)]
    pub(super) newest: Option<EventId>,
}

/// How events are replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ReplayWay)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Way {
    /// Through today's plugins.
    Plugins,
    /// To one destination, as it was sent before.
    To(String),
    /// Each delivery that the filter chooses, as it was sent before.
    Original,
}

impl Request {
    /// Only what was accepted by `now_ms` is replayed, so that it ends.
    pub(super) fn into_spec(self, now_ms: u64, oldest_ms: Option<u64>) -> Result<JobSpec, Problem> {
        let Self { filter, destination, original, rate, recover } = self;
        let (mut filter, way) = match (recover, destination, original) {
            (Some(_), Some(_), _) | (Some(_), _, true) => {
                return Err(Problem::invalid(
                    "`recover` says all: leave `destination` and `original` out",
                ));
            }
            (Some(_), ..) if !filter.is_open() => {
                return Err(Problem::invalid("`recover` says all: leave `filter` out"));
            }
            (Some(Recover { destination, since }), ..) => {
                (Filter::dead_of(destination.clone(), since.0), Way::To(destination))
            }
            (None, Some(_), true) => {
                return Err(Problem::invalid(
                    "`destination` and `original` do not go together: choose by `filter.destination`",
                ));
            }
            (None, Some(name), false) => (filter, Way::To(name)),
            (None, None, true) => (filter, Way::Original),
            (None, None, false) => (filter, Way::Plugins),
        };
        if filter.is_open() {
            return Err(Problem::invalid(
                "`filter` needs at least one of source, kind, destination, state, delivery, since \
                 and until; `\"since\": 0` takes every event",
            ));
        }
        if filter.limit == Some(0) {
            return Err(Problem::invalid("`filter.limit` must be at least 1"));
        }
        if rate == Some(0) {
            return Err(Problem::invalid("`rate` must be at least 1 event a second"));
        }
        filter.within(oldest_ms.unwrap_or(now_ms), now_ms.saturating_add(1));
        Ok(JobSpec { filter, way, rate, newest: None })
    }
}

/// What bulk replays use of the store.
#[derive(Clone)]
pub(super) struct JobStore {
    /// Finds the events.
    pub(super) queries: Arc<dyn Queries>,
    /// Takes them in hand again.
    pub(super) work_queue: Arc<dyn WorkQueue>,
    /// Keeps how far each job has come.
    pub(super) jobs: Arc<dyn Jobs>,
}

/// What one step came to.
pub(super) struct Stepped {
    pub(super) job: ReplayJob,
    /// Events that it looked at.
    pub(super) looked: usize,
}

impl JobSpec {
    /// Looks at the next few events, the oldest first, and keeps how far it has come.
    pub(super) async fn step(
        &self,
        store: &JobStore,
        mut job: ReplayJob,
    ) -> Result<Stepped, StoreError> {
        let a_second = self.rate.map_or(usize::MAX, |rate| rate as usize);
        let left = self.filter.limit.map_or(usize::MAX, |most| {
            most.saturating_sub(usize::try_from(job.looked).unwrap_or(usize::MAX))
        });
        let limit = STEP.min(a_second.div_ceil(STEPS_A_SECOND)).min(left);
        let query =
            EventQuery { after: job.after, oldest_first: true, limit, ..self.filter.query() };
        let mut page = if limit == 0 { Vec::new() } else { store.queries.events(&query).await? };
        if let Some(newest) = self.newest {
            page.retain(|row| row.id <= newest);
        }
        for row in &page {
            job.replayed += self.replay(store.work_queue.as_ref(), row).await?;
            job.looked += 1;
            job.after = Some(row.id);
        }
        if page.len() < limit || limit == left {
            job.state = ReplayState::Done;
        }
        store.jobs.put_replay(&job).await?;
        Ok(Stepped { job, looked: page.len() })
    }

    async fn replay(&self, work_queue: &dyn WorkQueue, row: &EventRow) -> Result<u64, StoreError> {
        let again = async |to: Option<&str>| work_queue.replay(row.id, to).await.map(u64::from);
        match &self.way {
            Way::Plugins => again(None).await,
            Way::To(name) => again(Some(name)).await,
            Way::Original => {
                let (destination, state) = self.filter.of_delivery();
                let chosen = row.deliveries.iter().filter(|one| {
                    destination.is_none_or(|name| one.destination == name)
                        && state.is_none_or(|state| one.state == state)
                        // One that waits is on its way.
                        && one.state != DeliveryState::Waiting
                });
                let mut replayed = 0;
                for one in chosen {
                    replayed += again(Some(&one.destination)).await?;
                }
                Ok(replayed)
            }
        }
    }

    /// How much of the time that the filter spans is behind it, 0 to 1.
    pub(super) fn progress(&self, job: &ReplayJob) -> f64 {
        let (from, until) = self.filter.span();
        match (job.state, job.after.map(EventId::millis)) {
            (ReplayState::Done, _) => 1.0,
            (_, None) => 0.0,
            (_, Some(at)) => {
                let whole = until.saturating_sub(from).max(1) as f64;
                (at.saturating_sub(from) as f64 / whole).min(1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::document;

    fn spec(text: &str) -> Result<JobSpec, String> {
        let request: Request = document(text.as_bytes()).map_err(|_| "no request".to_owned())?;
        request.into_spec(2_000, Some(1_000)).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(spec(r#"{"filters": {"delivery": "dead"}}"#).is_err());
        assert!(spec(r#"{"filter": {"deliveries": "dead"}}"#).is_err());
    }

    #[test]
    fn a_cursor_or_a_limit_chooses_nothing() {
        for (text, good) in [
            ("", false),
            (r#"{"filter": {"limit": 5}}"#, false),
            (r#"{"filter": {"since": 0}}"#, true),
            (r#"{"filter": {"since": 0, "limit": 0}}"#, false),
            (r#"{"filter": {"delivery": "dead"}}"#, true),
            (r#"{"filter": {"delivery": "dead"}, "rate": 0}"#, false),
            (r#"{"filter": {"delivery": "dead"}, "destination": "ci", "original": true}"#, false),
            (r#"{"recover": {"destination": "ci", "since": 5}, "filter": {"since": 0}}"#, false),
            (r#"{"recover": {"destination": "ci", "since": 5}, "original": true}"#, false),
        ] {
            assert_eq!(spec(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_spec_is_read_back_as_it_was_kept() {
        let made = spec(r#"{"recover": {"destination": "ci", "since": 1500}, "rate": 7}"#).unwrap();
        assert_eq!(made.way, Way::To("ci".to_owned()));
        assert_eq!(made.filter.span(), (1_500, 2_001));
        let text = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<JobSpec>(&text).unwrap(), made);
        let open = spec(r#"{"filter": {"delivery": "dead"}, "original": true}"#).unwrap();
        assert_eq!((open.way.clone(), open.filter.span()), (Way::Original, (1_000, 2_001)));
        let job = ReplayJob {
            id: 1,
            created_ms: 2_000,
            wanted: String::new(),
            state: ReplayState::Running,
            after: Some(EventId::new(EventId::first_row_at(1_500), 0)),
            looked: 1,
            replayed: 1,
        };
        assert!((0.49..0.51).contains(&open.progress(&job)));
    }
}
