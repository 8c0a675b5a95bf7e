//! The draft: a component compiled in haste to be asked for its description, set up by `init`, and snapshotted.
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wasmtime_wizer::{ComponentContext, Wizer};

use crate::build::exported::ExportedState;
use crate::build::job::Job;
use crate::gate::{About, ConfigIssue, GateError, ISSUES};
use crate::run::bindings::{PluginAll as Plugin, PluginAllPre as PluginPre};
use crate::run::engine::{self, Purpose};
use crate::run::slow::{self, Overrun};
use crate::run::{FailedCall, Guest, Linkers, Log, Ticker, Wasi, explain, instance};
use crate::text::escape;
use hookwright_model::plugin::Limits;

/// Bytes of a schema, and of each text of a description.
const SCHEMA: usize = 256 << 10;
const TEXT: usize = 512;

/// A component that runs a few times only, to be set up.
pub(crate) struct Initializer<'w> {
    job: &'w Job,
    engine: Engine,
    ticker: Arc<Ticker>,
    component: Component,
    linker: Linker<Guest>,
    wants_wasi: bool,
    wizer: Wizer,
    /// Where it can't be snapshotted: why.
    context: Result<ComponentContext<'w>, String>,
    compiled_in: Duration,
}

/// What `init` left.
pub(crate) struct Prepared {
    pub(crate) snapshot: Option<Vec<u8>>,
    /// Why there is no snapshot.
    pub(crate) reason: String,
    /// What `init` took.
    pub(crate) init: Duration,
}

type Stopped = (wasmtime::Error, bool);

impl<'w> Initializer<'w> {
    pub(crate) fn new(job: &'w Job, wasm: &'w [u8], wants_wasi: bool) -> Result<Self, GateError> {
        let failed = |error: wasmtime::Error| GateError::Compile(format!("{error:#}"));
        let (engine, ticker) = engine::new(Purpose::Initialize, 2).map_err(failed)?;
        let mut wizer = Wizer::new();
        wizer.keep_init_func(true);
        let (context, instrumented) = match wizer.instrument_component(wasm) {
            Ok((context, instrumented)) => (Ok(context), instrumented),
            Err(error) => (Err(format!("{error:#}")), wasm.to_vec()),
        };
        let started = Instant::now();
        let component = Component::new(&engine, &instrumented).map_err(failed)?;
        let compiled_in = started.elapsed();
        let linkers = Linkers::new(&engine, ticker.clone()).map_err(failed)?;
        let linker = linkers.of(wants_wasi).clone();
        let pre = linker
            .instantiate_pre(&component)
            .and_then(PluginPre::new)
            .map_err(|error| GateError::Interface(format!("{error:#}")))?;
        drop(pre);
        Ok(Self { job, engine, ticker, component, linker, wants_wasi, wizer, context, compiled_in })
    }

    pub(crate) fn compiled_in(&self) -> Duration {
        self.compiled_in
    }

    pub(crate) async fn describe(&self, log: &mut Vec<String>) -> Result<About, GateError> {
        let mut store = self.store()?;
        let book = store.data().log.clone();
        let asked: slow::Task<'_, Result<_, Stopped>> = Box::pin(async {
            let _running = self.ticker.run();
            let described = async {
                let plugin = self.linker.instantiate_async(&mut store, &self.component).await?;
                let plugin = Plugin::new(&mut store, &plugin)?;
                plugin.hookwright_plugin_lifecycle().call_describe(&mut store).await
            };
            let described = described.await;
            described.map_err(|error| (error, store.data().meter.refused()))
        });
        let ended = slow::metered(self.job.init_time, Duration::ZERO, asked).await;
        let (lines, last_error) = book.take();
        let about = self.settle(ended, last_error.as_deref()).map_err(GateError::Describe)?;
        log.extend(lines);
        if about.config_schema.as_ref().is_some_and(|schema| schema.len() > SCHEMA) {
            return Err(GateError::Describe(format!("the schema has more than {SCHEMA} bytes")));
        }
        Ok(About {
            name: escape(&about.name, TEXT),
            version: escape(&about.version, TEXT),
            summary: escape(&about.summary, TEXT),
            config_schema: about.config_schema,
        })
    }

    /// Runs `init` with the settings and takes the snapshot.
    pub(crate) async fn prepare(&self, log: &mut Vec<String>) -> Result<Prepared, GateError> {
        let mut store = self.store()?;
        let book = store.data().log.clone();
        let task: slow::Task<'_, Result<_, Stopped>> = Box::pin(async {
            let _running = self.ticker.run();
            let made = self.init_and_snapshot(&mut store).await;
            made.map_err(|error| (error, store.data().meter.refused()))
        });
        let ended = slow::metered(self.job.init_time, Duration::ZERO, task).await;
        let (lines, last_error) = book.take();
        let made = self.settle(ended, last_error.as_deref()).map_err(GateError::Init)?;
        log.extend(lines);
        made.map_err(GateError::Config)
    }

    async fn init_and_snapshot(
        &self,
        store: &mut Store<Guest>,
    ) -> wasmtime::Result<Result<Prepared, Vec<ConfigIssue>>> {
        let instance = self.linker.instantiate_async(&mut *store, &self.component).await?;
        let plugin = Plugin::new(&mut *store, &instance)?;
        let started = Instant::now();
        let answer = plugin
            .hookwright_plugin_lifecycle()
            .call_init(&mut *store, &self.job.config_json)
            .await?;
        let init = started.elapsed();
        if let Err(issues) = answer {
            let issues = issues.into_iter().take(ISSUES).map(|issue| ConfigIssue {
                path: escape(&issue.path, TEXT),
                message: escape(&issue.message, TEXT),
                help: String::new(),
            });
            return Ok(Err(issues.collect()));
        }
        let context = match &self.context {
            Ok(context) => context,
            Err(reason) => {
                return Ok(Ok(Prepared { snapshot: None, reason: reason.clone(), init }));
            }
        };
        // What takes the snapshot runs inside and needs as much memory again.
        store.data_mut().meter.lift();
        let (mut state, failure) = ExportedState::new(store, instance);
        let taken = tokio::select! {
            taken = self.wizer.snapshot_component(context, &mut state) => taken,
            Ok(error) = failure => Err(error),
        };
        let (snapshot, reason) = match taken {
            Ok(snapshot) => (Some(snapshot), String::new()),
            Err(error) => (None, format!("{error:#}")),
        };
        Ok(Ok(Prepared { snapshot, reason, init }))
    }

    fn store(&self) -> Result<Store<Guest>, GateError> {
        let plugin =
            self.job.plugin.parse().map_err(|error| GateError::Init(format!("{error}")))?;
        let limits = &self.job.limits;
        let log = Arc::new(Log::new(plugin, None, limits.log));
        let mut guest = Guest::new(limits, log, Bytes::new());
        if self.wants_wasi {
            guest.wasi = Some(Box::new(Wasi::new(0, (0, 0), &guest.log)));
        }
        // The snapshot hands the whole memory over at once.
        Ok(instance::store(&self.engine, guest, limits.memory.max(limits.output)))
    }

    fn settle<T>(
        &self,
        ended: Result<Result<T, Stopped>, Overrun>,
        last_error: Option<&str>,
    ) -> Result<T, String> {
        let limits = &Limits { time: self.job.init_time, ..self.job.limits };
        match ended {
            Ok(Ok(value)) => Ok(value),
            Ok(Err((error, out_of_memory))) => {
                let remains = FailedCall { error: &error, out_of_memory, last_error, limits };
                Err(explain(&remains).to_string())
            }
            Err(_) => Err(format!("took longer than {:?}", self.job.init_time)),
        }
    }
}
