//! Bulk replays: jobs that go on after a restart, at a chosen rate, until they are done or stopped.
mod wanted;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Options;
use super::events::blocking;
use super::problem::Problem;
use super::replay::parse;
use crate::clock::Clock;
use crate::model::{ReplayJob, ReplayState};
use crate::store::{Store, StoreError};
use crate::tasks::Tasks;

use wanted::{Request, Wanted};

/// When to go on where the store could not be read or written.
const AGAIN: Duration = Duration::from_secs(1);

/// The bulk replays, those under way and those that were. Cheap to clone.
#[derive(Clone)]
pub struct Replays(Arc<Parts>);

struct Parts {
    store: Arc<dyn Store>,
    clock: Clock,
    tasks: Tasks,
    jobs: Mutex<BTreeMap<u64, Entry>>,
    /// One change of a job's state at a time.
    changing: Mutex<()>,
}

struct Entry {
    job: ReplayJob,
    wanted: Wanted,
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
    /// Goes on with what an earlier run left. Reads the store, so it blocks
    /// shortly. To be called within a tokio runtime.
    ///
    /// # Errors
    /// A store that can't be read.
    pub fn start(store: Arc<dyn Store>, clock: Clock, tasks: Tasks) -> Result<Self, StoreError> {
        let kept = store.replays()?;
        let parts =
            Parts { store, clock, tasks, jobs: Mutex::default(), changing: Mutex::default() };
        let replays = Self(Arc::new(parts));
        for job in kept {
            let Ok(wanted) = serde_json::from_str::<Wanted>(&job.wanted) else {
                tracing::error!(replay = job.id, "what a bulk replay was asked for can't be read");
                continue;
            };
            replays.begin(job, wanted);
        }
        Ok(replays)
    }

    /// Takes note of the job, and works on it where it runs.
    fn begin(&self, job: ReplayJob, wanted: Wanted) {
        let stop = self.0.tasks.stopping().child_token();
        let (id, runs) = (job.id, job.state == ReplayState::Running);
        self.0.jobs.lock().insert(id, Entry { job, wanted, stop: stop.clone() });
        if runs {
            self.0.tasks.spawn_piece(self.clone().work(id, stop));
        }
    }

    async fn work(self, id: u64, stop: CancellationToken) {
        let began = Instant::now();
        let mut looked = 0.0;
        while !stop.is_cancelled() {
            let replays = self.clone();
            let step = tokio::task::spawn_blocking(move || replays.step(id)).await;
            let wait = match step {
                Ok(Ok(Some((count, rate)))) => {
                    looked += count as f64;
                    let due = rate.map_or(0.0, |rate| looked / f64::from(rate));
                    Duration::from_secs_f64(due).saturating_sub(began.elapsed())
                }
                Ok(Ok(None)) => return,
                Ok(Err(error)) => {
                    tracing::warn!(replay = id, %error, "a bulk replay waits for the store");
                    AGAIN
                }
                Err(error) => {
                    tracing::error!(replay = id, %error, "a bulk replay failed; it goes on after a restart");
                    return;
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
    fn step(&self, id: u64) -> Result<Option<(usize, Option<u32>)>, StoreError> {
        let _one = self.0.changing.lock();
        let Some((job, wanted)) = self.0.running(id) else { return Ok(None) };
        let stepped = wanted.step(self.0.store.as_ref(), job)?;
        let done = stepped.job.state == ReplayState::Done;
        if done {
            let (looked, replayed) = (stepped.job.looked, stepped.job.replayed);
            tracing::info!(replay = id, looked, replayed, "a bulk replay is done");
        }
        self.0.keep(stepped.job);
        Ok((!done).then_some((stepped.looked, wanted.rate)))
    }

    fn create(&self, wanted: Wanted) -> Result<Value, StoreError> {
        let _one = self.0.changing.lock();
        let last = self.0.jobs.lock().last_key_value().map_or(0, |(id, _)| *id);
        let job = ReplayJob {
            id: last + 1,
            created_ms: self.0.clock.now_ms(),
            wanted: serde_json::to_string(&wanted).unwrap_or_default(),
            state: ReplayState::Running,
            after: None,
            looked: 0,
            replayed: 0,
        };
        self.0.store.put_replay(&job)?;
        let shown = show(&job, &wanted);
        self.begin(job, wanted);
        Ok(shown)
    }

    /// From the one state to the other, written down first.
    fn change(&self, id: u64, from: ReplayState, to: ReplayState) -> Result<Value, Refused> {
        let _one = self.0.changing.lock();
        let (job, wanted) = {
            let jobs = self.0.jobs.lock();
            let entry = jobs.get(&id).ok_or(Refused::Unknown)?;
            if entry.job.state != from {
                return Err(Refused::State(entry.job.state));
            }
            (ReplayJob { state: to, ..entry.job.clone() }, entry.wanted.clone())
        };
        self.0.store.put_replay(&job)?;
        if let Some(entry) = self.0.jobs.lock().get(&id) {
            entry.stop.cancel();
        }
        let shown = show(&job, &wanted);
        self.begin(job, wanted);
        Ok(shown)
    }

    fn list(&self) -> Vec<Value> {
        let jobs = self.0.jobs.lock();
        jobs.values().rev().map(|entry| show(&entry.job, &entry.wanted)).collect()
    }
}

impl Parts {
    fn running(&self, id: u64) -> Option<(ReplayJob, Wanted)> {
        let jobs = self.jobs.lock();
        let entry = jobs.get(&id).filter(|entry| entry.job.state == ReplayState::Running)?;
        Some((entry.job.clone(), entry.wanted.clone()))
    }

    fn keep(&self, job: ReplayJob) {
        if let Some(entry) = self.jobs.lock().get_mut(&job.id) {
            entry.job = job;
        }
    }
}

fn show(job: &ReplayJob, wanted: &Wanted) -> Value {
    json!({
        "id": job.id, "state": job.state, "created_ms": job.created_ms,
        "looked": job.looked, "replayed": job.replayed, "progress": wanted.progress(job),
        "after": job.after, "filter": wanted.filter, "way": wanted.way, "rate": wanted.rate,
    })
}

pub(super) async fn create(
    State(options): State<Options>,
    body: bytes::Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let request: Request = parse(&body)?;
    let store = options.store.clone();
    let oldest_ms = blocking(move || Ok(store.usage()?.oldest_ms)).await?;
    let wanted = request.wanted(options.clock.now_ms(), oldest_ms)?;
    let shown = blocking(move || options.replays.create(wanted)).await?;
    Ok((StatusCode::ACCEPTED, Json(shown)))
}

pub(super) async fn list(State(options): State<Options>) -> Json<Value> {
    Json(json!({ "replays": options.replays.list() }))
}

pub(super) async fn show_one(
    State(options): State<Options>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let jobs = options.replays.0.jobs.lock();
    let found = number(&id).and_then(|id| jobs.get(&id));
    let entry = found.ok_or_else(|| missing(&id))?;
    Ok(Json(show(&entry.job, &entry.wanted)))
}

pub(super) async fn stop(
    State(options): State<Options>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    change(options, id, ReplayState::Running, ReplayState::Stopped).await
}

pub(super) async fn resume(
    State(options): State<Options>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    change(options, id, ReplayState::Stopped, ReplayState::Running).await
}

async fn change(
    options: Options,
    id: String,
    from: ReplayState,
    to: ReplayState,
) -> Result<Json<Value>, Problem> {
    let number = number(&id).ok_or_else(|| missing(&id))?;
    let changed = blocking(move || match options.replays.change(number, from, to) {
        Err(Refused::Store(error)) => Err(error),
        other => Ok(other),
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
