//! From a component's bytes to native code: describe, compile, init, snapshot, probe.
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::build::snapshot::{Draft, Prepared};
use crate::gate::inspect::{self, GateError};
use crate::gate::report::{About, Report, Shape, Sketch};
use crate::gate::schema;
use crate::limits::INIT_TIME;
use crate::run::call;
use crate::run::call::{Call, Means, Setup};
use crate::run::code::{Code, Linkers};
use crate::run::engine;
use crate::run::engine::Purpose;
use crate::run::fault::Fault;
use crate::run::http::Reach;
use crate::run::kv::Space;
use crate::run::slow::{Lane, Pace};
use crate::run::verdict::Verdict;
use hookwright_model::clock::Clock;
use hookwright_model::plugin::{Limits, Spec};
use hookwright_model::{Event, EventId, Name};

/// What `build` needs besides the component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) plugin: String,
    pub(crate) config_json: String,
    pub(crate) grants: Vec<String>,
    pub(crate) limits: Limits,
    /// CPU time of `describe`, and of `init` with its snapshot.
    pub(crate) init_time: Duration,
    /// Its instances are to be kept.
    pub(crate) warm: bool,
}

impl Job {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self {
            plugin: spec.name.to_string(),
            config_json: spec.config_json.clone(),
            grants: spec.grants.clone(),
            limits: spec.limits,
            init_time: INIT_TIME,
            warm: spec.warm.is_some(),
        }
    }
}

/// How far a component goes through the gate.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// All the way.
    Build(Job),
    /// To `describe`, and where it is to take its settings, to `init`.
    Sketch(Job),
}

/// A component fit to serve.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) report: Report,
    pub(crate) native: Vec<u8>,
}

/// The whole gate. Runs code of the guest, within bounds; blocks for seconds.
pub(crate) fn build(job: &Job, wasm: &[u8]) -> Result<Built, GateError> {
    runtime()?.block_on(steps(job, wasm))
}

fn runtime() -> Result<tokio::runtime::Runtime, GateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| GateError::Compile(error.to_string()))
}

async fn steps(job: &Job, wasm: &[u8]) -> Result<Built, GateError> {
    let shape = inspect::inspect(wasm)?;
    inspect::check_imports(&shape.imports, &job.grants)?;
    inspect::check_warm(&shape.imports, job.warm)?;
    let draft = Draft::new(job, wasm, inspect::wants_wasi(&shape.imports))?;
    let mut log = Vec::new();
    let about = draft.describe(&mut log).await?;
    hold_against_schema(&about, &job.config_json)?;
    let Prepared { snapshot, reason, init } = draft.prepare(&mut log).await?;
    let mut compile = draft.compiled_in();
    let mut warnings = Vec::new();

    let bench = Bench::new(job, &shape)?;
    let mut ready = None;
    if let Some(snapshot) = &snapshot {
        match bench.finish(snapshot, None, &mut compile).await {
            Ok(finished) => ready = Some(finished),
            // What a snapshot can't hold, a handle of WASI say, shows only now.
            Err(GateError::Probe(error)) => warnings.push(costly(&error, init)),
            Err(error) => return Err(error),
        }
    } else {
        warnings.push(costly(&reason, init));
    }
    let whole = ready.is_some();
    let Finished { native, probe } = match ready {
        Some(finished) => finished,
        None => bench.finish(wasm, Some(job.config_json.clone()), &mut compile).await?,
    };
    let report = Report {
        about,
        snapshot_size: snapshot.filter(|_| whole).map(|snapshot| snapshot.len() as u64),
        native_size: native.len() as u64,
        compile_ms: hookwright_model::clock::millis(compile),
        init_us: u64::try_from(init.as_micros()).unwrap_or(u64::MAX),
        log,
        probe,
        warnings,
        shape,
    };
    Ok(Built { report, native })
}

/// The first steps of the gate only. Runs code of the guest, within bounds.
pub(crate) fn sketch(job: &Job, wasm: &[u8]) -> Result<Sketch, GateError> {
    runtime()?.block_on(async {
        let shape = inspect::inspect(wasm)?;
        inspect::check_imports(&shape.imports, &job.grants)?;
        inspect::check_warm(&shape.imports, job.warm)?;
        let draft = Draft::new(job, wasm, inspect::wants_wasi(&shape.imports))?;
        let about = draft.describe(&mut Vec::new()).await?;
        Ok(Sketch { shape, about })
    })
}

/// The schema sees all mistakes of form at once; the plugin's own `init`, which
/// often stops at the first, is asked only when there is none.
fn hold_against_schema(about: &About, config_json: &str) -> Result<(), GateError> {
    let Some(schema) = &about.config_schema else { return Ok(()) };
    let config = match config_json.trim() {
        "" | "null" => "{}",
        config => config,
    };
    let issues = schema::check(schema, config).map_err(GateError::Describe)?;
    if issues.is_empty() { Ok(()) } else { Err(GateError::Config(issues)) }
}

fn costly(reason: &str, init: Duration) -> String {
    format!("no snapshot, so each event pays for `init` ({init:?}): {reason}")
}

/// Where the code that will serve is compiled and tried.
struct Bench<'j> {
    job: &'j Job,
    engine: Engine,
    linkers: Linkers,
    lane: Lane,
    wants_wasi: bool,
    means: Means,
}

struct Finished {
    native: Vec<u8>,
    probe: String,
}

impl<'j> Bench<'j> {
    fn new(job: &'j Job, shape: &Shape) -> Result<Self, GateError> {
        let failed = |error: String| GateError::Compile(error);
        let made = engine::new(Purpose::Serve, 2).map_err(|error| failed(error.to_string()))?;
        let (engine, ticker) = made;
        let linkers = Linkers::new(&engine, ticker).map_err(|error| failed(error.to_string()))?;
        let lane = Lane::new(1).map_err(|error| failed(error.to_string()))?;
        let wants_wasi = inspect::wants_wasi(&shape.imports);
        let plugin = job.plugin.parse().map_err(|error| failed(format!("{error}")))?;
        let means = means(shape, &plugin, &job.grants);
        Ok(Self { job, engine, linkers, lane, wants_wasi, means })
    }

    async fn finish(
        &self,
        wasm: &[u8],
        init: Option<String>,
        compile: &mut Duration,
    ) -> Result<Finished, GateError> {
        let started = Instant::now();
        let component = Component::new(&self.engine, wasm)
            .map_err(|error| GateError::Compile(format!("{error:#}")))?;
        *compile += started.elapsed();
        let code = Code::new(&self.linkers, &component, self.wants_wasi, init)
            .map_err(|error| GateError::Interface(format!("{error:#}")))?;
        let code = Arc::new(code);
        let job = self.job;
        let probe = probe(&code, &job.plugin, &job.limits, &self.means, &self.lane).await?;
        let native =
            component.serialize().map_err(|error| GateError::Compile(error.to_string()))?;
        Ok(Finished { native, probe })
    }
}

/// What a probe has: a state that is empty and forgotten afterwards, and nobody outside.
pub(crate) fn means(shape: &Shape, plugin: &Name, grants: &[String]) -> Means {
    let space = shape.wants("kv").then(|| Space::new(plugin.clone(), Clock::system()));
    let (reach, responds) = (Reach::of(grants, None), shape.wants("responder"));
    Means { space, reach, responds, pool: None }
}

/// Sends an event through that no source sends. A plugin may refuse it, but it
/// must answer.
pub(crate) async fn probe(
    code: &Arc<Code>,
    plugin: &str,
    limits: &Limits,
    means: &Means,
    lane: &Lane,
) -> Result<String, GateError> {
    let name = |text: &str| -> Result<Name, GateError> {
        text.parse().map_err(|error| GateError::Probe(format!("{error}")))
    };
    let mut headers = HeaderMap::new();
    let json = http::HeaderValue::from_static("application/json");
    headers.insert(http::header::CONTENT_TYPE, json);
    let event = Event {
        id: EventId::new(0, 0),
        received_ms: 0,
        source: name("hookwright")?,
        kind: "hookwright.probe".into(),
        headers,
        body: Bytes::from_static(b"{}"),
    };
    let asked = Call::about(&event);
    let plugin = name(plugin)?;
    let pace = Pace::default();
    let setup = Setup { code, plugin: &plugin, limits, headers: &[], means, pace: &pace };
    match call::call(&setup, lane, &asked, None).await.result {
        Ok(Verdict::Pass) => Ok("pass".into()),
        Ok(Verdict::Amend(_)) => Ok("amend".into()),
        Ok(Verdict::Drop(reason)) => Ok(format!("drop: {reason}")),
        Ok(Verdict::Deliver(targets)) => Ok(format!("deliver to {}", targets.len())),
        Err(fault @ (Fault::Retry(_) | Fault::Reject(_) | Fault::Other(_))) => {
            Ok(fault.to_string())
        }
        Err(fault) => Err(GateError::Probe(fault.to_string())),
    }
}
