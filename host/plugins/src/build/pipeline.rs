//! From a component's bytes to native code: describe, compile, init, snapshot, probe.
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::build::job::{Built, Job};
use crate::build::probe::{capabilities, probe};
use crate::build::snapshot::{Initializer, Prepared};
use crate::gate::{self, About, GateError, Report, Shape, Sketch};
use crate::run::engine::{self, Purpose};
use crate::run::{Capabilities, Code, Linkers, SlowLane};

/// The whole gate. Runs code of the guest, within bounds; blocks for seconds.
pub(crate) fn build(job: &Job, wasm: &[u8]) -> Result<Built, GateError> {
    runtime()?.block_on(steps(job, wasm))
}

fn runtime() -> Result<tokio::runtime::Runtime, GateError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| GateError::Compile(error.to_string()))
}

async fn steps(job: &Job, wasm: &[u8]) -> Result<Built, GateError> {
    let shape = gate::inspect(wasm)?;
    gate::check_imports(&shape.imports, &job.grants)?;
    gate::check_warm(&shape.imports, job.warm)?;
    let initializer = Initializer::new(job, wasm, gate::wants_wasi(&shape.imports))?;
    let mut log = Vec::new();
    let about = initializer.describe(&mut log).await?;
    hold_against_schema(&about, &job.config_json)?;
    let Prepared { snapshot, reason, init } = initializer.prepare(&mut log).await?;
    let mut compile = initializer.compiled_in();
    let mut warnings = Vec::new();

    let serving = ServingBuild::new(job, &shape)?;
    let mut ready = None;
    if let Some(snapshot) = &snapshot {
        match serving.finish(snapshot, None, &mut compile).await {
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
        None => serving.finish(wasm, Some(job.config_json.clone()), &mut compile).await?,
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
        let shape = gate::inspect(wasm)?;
        gate::check_imports(&shape.imports, &job.grants)?;
        gate::check_warm(&shape.imports, job.warm)?;
        let initializer = Initializer::new(job, wasm, gate::wants_wasi(&shape.imports))?;
        let about = initializer.describe(&mut Vec::new()).await?;
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
    let issues = gate::check_settings(schema, config).map_err(GateError::Describe)?;
    if issues.is_empty() { Ok(()) } else { Err(GateError::Config(issues)) }
}

fn costly(reason: &str, init: Duration) -> String {
    format!("no snapshot, so each event pays for `init` ({init:?}): {reason}")
}

/// Where the code that will serve is compiled and tried.
struct ServingBuild<'j> {
    job: &'j Job,
    engine: Engine,
    linkers: Linkers,
    lane: SlowLane,
    wants_wasi: bool,
    capabilities: Capabilities,
}

struct Finished {
    native: Vec<u8>,
    probe: String,
}

impl<'j> ServingBuild<'j> {
    fn new(job: &'j Job, shape: &Shape) -> Result<Self, GateError> {
        let failed = |error: String| GateError::Compile(error);
        let made = engine::new(Purpose::Serve, 2).map_err(|error| failed(error.to_string()))?;
        let (engine, ticker) = made;
        let linkers = Linkers::new(&engine, ticker).map_err(|error| failed(error.to_string()))?;
        let lane = SlowLane::new(1).map_err(|error| failed(error.to_string()))?;
        let wants_wasi = gate::wants_wasi(&shape.imports);
        let plugin = job.plugin.parse().map_err(|error| failed(format!("{error}")))?;
        let capabilities = capabilities(shape, &plugin, &job.grants);
        Ok(Self { job, engine, linkers, lane, wants_wasi, capabilities })
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
        let probe = probe(&code, &job.plugin, &job.limits, &self.capabilities, &self.lane).await?;
        let native =
            component.serialize().map_err(|error| GateError::Compile(error.to_string()))?;
        Ok(Finished { native, probe })
    }
}
