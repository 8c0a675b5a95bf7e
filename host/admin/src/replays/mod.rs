//! Bulk replays: jobs that go on after a restart, at a chosen rate, until they are done or stopped.
mod filter;
mod pace;
mod spec;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::events::to_its_end;
use super::params::{Limit, Number, Query, document};
use super::problem::Problem;
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_model::{EventId, ReplayJob, ReplayState};
use hookwright_store::{EventQuery, Jobs, Maintenance, Queries, StoreError, WorkQueue};

use filter::Filter;
use pace::Pace;
use spec::{JobSpec, JobStore, Request, Way};

/// When to go on where the store could not be read or written.
const AGAIN: Duration = Duration::from_secs(1);

/// The bulk replays, those under way and those that were. Cheap to clone.
#[derive(Clone)]
pub struct Replays(Arc<Shared>);

/// What the API's operations and the jobs' tasks share.
struct Shared {
    store: JobStore,
    clock: Clock,
    tasks: Tasks,
    jobs: Mutex<BTreeMap<u64, Entry>>,
    /// One change of a job's state at a time.
    changing: tokio::sync::Mutex<()>,
}

struct Entry {
    job: ReplayJob,
    spec: JobSpec,
    /// Of the task that works on it.
    stop: CancellationToken,
}

/// Why a job was not changed.
enum Refused {
    Unknown,
    State(ReplayState),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Replays {
    /// Resumes what an earlier run left. Finds events by `queries`, sends them through `work_queue` again, and keeps in
    /// `jobs` how far it has come.
    ///
    /// # Errors
    /// A store that can't be read.
    pub async fn start(
        queries: Arc<dyn Queries>,
        work_queue: Arc<dyn WorkQueue>,
        jobs: Arc<dyn Jobs>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, StoreError> {
        let kept = jobs.replays().await?;
        let store = JobStore { queries, work_queue, jobs };
        let (jobs, changing) = (Mutex::default(), Default::default());
        let replays = Self(Arc::new(Shared { store, clock, tasks, jobs, changing }));
        for job in kept {
            let Ok(spec) = serde_json::from_str::<JobSpec>(&job.wanted) else {
                tracing::error!(replay = job.id, "what a bulk replay was asked for can't be read");
                continue;
            };
            replays.begin(job, spec);
        }
        Ok(replays)
    }

    /// Takes note of the job, and works on it where it runs.
    fn begin(&self, job: ReplayJob, spec: JobSpec) {
        let stop = self.0.tasks.stopping().child_token();
        let (id, runs) = (job.id, job.state == ReplayState::Running);
        self.0.jobs.lock().insert(id, Entry { job, spec, stop: stop.clone() });
        if runs {
            self.0.tasks.spawn_piece(self.clone().work(id, stop));
        }
    }

    async fn work(self, id: u64, stop: CancellationToken) {
        let mut pace = Pace::new(Instant::now());
        while !stop.is_cancelled() {
            let wait = match self.step(id).await {
                Ok(Some((count, rate))) => pace.after(Instant::now(), count, rate),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(replay = id, %error, "a bulk replay waits for the store");
                    AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// How many events it looked at, and how many it may look at in a second;
    /// none once there is nothing more to do.
    async fn step(&self, id: u64) -> Result<Option<(usize, Option<u32>)>, StoreError> {
        let _one = self.0.changing.lock().await;
        let Some((job, spec)) = self.0.running(id) else { return Ok(None) };
        let stepped = spec.step(&self.0.store, job).await?;
        let done = stepped.job.state == ReplayState::Done;
        if done {
            let (looked, replayed) = (stepped.job.looked, stepped.job.replayed);
            tracing::info!(replay = id, looked, replayed, "a bulk replay is done");
        }
        self.0.keep(stepped.job);
        Ok((!done).then_some((stepped.looked, spec.rate)))
    }

    async fn create(&self, mut spec: JobSpec) -> Result<Job, StoreError> {
        let newest = EventQuery { limit: 1, ..EventQuery::default() };
        spec.newest = self.0.store.queries.events(&newest).await?.first().map(|row| row.id);
        let _one = self.0.changing.lock().await;
        let last = self.0.jobs.lock().last_key_value().map_or(0, |(id, _)| *id);
        let job = ReplayJob {
            id: last + 1,
            created_ms: self.0.clock.now_ms(),
            wanted: serde_json::to_string(&spec).unwrap_or_default(),
            state: ReplayState::Running,
            after: None,
            looked: 0,
            replayed: 0,
        };
        self.0.store.jobs.put_replay(&job).await?;
        let shown = show(&job, &spec);
        self.begin(job, spec);
        Ok(shown)
    }

    /// From the one state to the other, written down first.
    async fn change(&self, id: u64, from: ReplayState, to: ReplayState) -> Result<Job, Refused> {
        let _one = self.0.changing.lock().await;
        let (job, spec) = {
            let jobs = self.0.jobs.lock();
            let entry = jobs.get(&id).ok_or(Refused::Unknown)?;
            if entry.job.state != from {
                return Err(Refused::State(entry.job.state));
            }
            (ReplayJob { state: to, ..entry.job.clone() }, entry.spec.clone())
        };
        self.0.store.jobs.put_replay(&job).await?;
        if let Some(entry) = self.0.jobs.lock().get(&id) {
            entry.stop.cancel();
        }
        let shown = show(&job, &spec);
        self.begin(job, spec);
        Ok(shown)
    }

    fn list(&self) -> Vec<Job> {
        let jobs = self.0.jobs.lock();
        jobs.values().rev().map(|entry| show(&entry.job, &entry.spec)).collect()
    }
}

impl Shared {
    fn running(&self, id: u64) -> Option<(ReplayJob, JobSpec)> {
        let jobs = self.jobs.lock();
        let entry = jobs.get(&id).filter(|entry| entry.job.state == ReplayState::Running)?;
        Some((entry.job.clone(), entry.spec.clone()))
    }

    fn keep(&self, job: ReplayJob) {
        if let Some(entry) = self.jobs.lock().get_mut(&job.id) {
            entry.job = job;
        }
    }
}

/// A bulk replay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayJob)]
pub(super) struct Job {
    /// From 1, in the order in which they were asked for.
    id: u64,
    state: ReplayState,
    /// When it was asked for, milliseconds since 1970.
    created_ms: u64,
    /// Events looked at.
    looked: u64,
    /// Events or deliveries that begin anew.
    replayed: u64,
    /// Of the time that the filter spans, 0 to 1.
    progress: f64,
    /// The last event that was looked at.
    after: Option<EventId>,
    filter: Filter,
    way: Way,
    /// Events a second; none: as fast as the store takes them.
    rate: Option<u32>,
}

fn show(job: &ReplayJob, spec: &JobSpec) -> Job {
    Job {
        id: job.id,
        state: job.state,
        created_ms: job.created_ms,
        looked: job.looked,
        replayed: job.replayed,
        progress: spec.progress(job),
        after: job.after,
        filter: spec.filter.clone(),
        way: spec.way.clone(),
        rate: spec.rate,
    }
}

/// Begin a bulk replay
///
/// A job of the host: the oldest event first, those that were accepted before
/// now. It goes on after a restart, until it is done or stopped.
#[utoipa::path(post, path = "/replays", tag = "replays", operation_id = "begin_replay",
    request_body(content = inline(Option<Request>)), responses((status = 202, body = Job)))]
pub(super) async fn create(
    State(replays): State<Replays>,
    State(maintenance): State<Arc<dyn Maintenance>>,
    State(clock): State<Clock>,
    body: bytes::Bytes,
) -> Result<(StatusCode, Json<Job>), Problem> {
    let request: Request = document(&body)?;
    let oldest_ms = maintenance.usage().await?.oldest_ms;
    let spec = request.into_spec(clock.now_ms(), oldest_ms)?;
    let shown = to_its_end(async move { replays.create(spec).await }).await?;
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

/// Which of them, as the query of the request says.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    #[param(inline)]
    state: Option<ReplayState>,
    /// Only those that were asked for before this one: `next` of the page before.
    #[param(inline)]
    before: Option<Number>,
    #[param(inline)]
    limit: Option<Limit>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayPage)]
pub(super) struct Page {
    replays: Vec<Job>,
    /// `before` of the next page, where there is one.
    next: Option<u64>,
}

/// List bulk replays
///
/// With how far each has come, the latest first.
#[utoipa::path(get, path = "/replays", tag = "replays", operation_id = "list_replays",
    params(Params), responses((status = 200, body = Page)))]
pub(super) async fn list(
    State(replays): State<Replays>,
    Query(params): Query<Params>,
) -> Json<Page> {
    let mut replays = replays.list();
    replays.retain(|job| params.before.is_none_or(|before| job.id < before.0));
    replays.retain(|job| params.state.is_none_or(|state| job.state == state));
    let limit = params.limit.unwrap_or_default().0;
    let more = replays.len() > limit;
    replays.truncate(limit);
    let next = replays.last().filter(|_| more).map(|last| last.id);
    Json(Page { replays, next })
}

/// Show a bulk replay
#[utoipa::path(get, path = "/replays/{id}", tag = "replays", operation_id = "show_replay",
    params(("id" = u64, Path)), responses((status = 200, body = Job)))]
pub(super) async fn show_one(
    State(replays): State<Replays>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    let jobs = replays.0.jobs.lock();
    let found = number(&id).and_then(|id| jobs.get(&id));
    let entry = found.ok_or_else(|| missing(&id))?;
    Ok(Json(show(&entry.job, &entry.spec)))
}

/// Stop a bulk replay
///
/// What it has replayed so far is on its way.
#[utoipa::path(post, path = "/replays/{id}/stop", tag = "replays", operation_id = "stop_replay",
    params(("id" = u64, Path)), responses((status = 200, body = Job)))]
pub(super) async fn stop(
    State(replays): State<Replays>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    change(replays, id, ReplayState::Running, ReplayState::Stopped).await
}

/// Go on with a bulk replay that was stopped
#[utoipa::path(post, path = "/replays/{id}/resume", tag = "replays",
    operation_id = "resume_replay", params(("id" = u64, Path)),
    responses((status = 200, body = Job)))]
pub(super) async fn resume(
    State(replays): State<Replays>,
    Path(id): Path<String>,
) -> Result<Json<Job>, Problem> {
    change(replays, id, ReplayState::Stopped, ReplayState::Running).await
}

async fn change(
    replays: Replays,
    id: String,
    from: ReplayState,
    to: ReplayState,
) -> Result<Json<Job>, Problem> {
    let number = number(&id).ok_or_else(|| missing(&id))?;
    let changed = to_its_end(async move {
        match replays.change(number, from, to).await {
            Err(Refused::Store(error)) => Err(error),
            other => Ok(other),
        }
    });
    match changed.await? {
        Ok(shown) => Ok(Json(shown)),
        Err(Refused::State(is)) => {
            let is = json!(is);
            let is = is.as_str().unwrap_or_default();
            Err(Problem::conflict(format!("replay {id} is {is}")))
        }
        Err(Refused::Unknown | Refused::Store(_)) => Err(missing(&id)),
    }
}

fn number(id: &str) -> Option<u64> {
    id.parse().ok()
}

fn missing(id: &str) -> Problem {
    Problem::missing(format!("no bulk replay `{id:.40}`; `/api/v1/replays` lists them"))
}
