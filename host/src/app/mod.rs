//! Settings → parts → run: the only place that knows all of them.
mod alert_routes;
mod alerts;
mod control;
mod data_dir;
mod fetch;
mod files;
mod handoff;
mod host_key;
mod open;
mod options;
mod plugin_http_client;
pub mod plugins;
mod prepare;
mod reach;
mod reload;
mod sources;
mod stages;
mod stop;
mod traces;
mod upkeep;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::RwLock;

use hookwright_admin as admin;
use hookwright_admin::retention;
use hookwright_config::{Config, Seen};
use hookwright_model::clock::Clock;
use hookwright_model::tasks::Tasks;
use hookwright_plugins::{Compiler, Plugins};
use hookwright_server as server;
use hookwright_server::{Listener, Tower};
use hookwright_store as store;
use hookwright_store::Store;
use hookwright_telemetry::Levels;

pub use data_dir::too_open;
use handoff::Handoffs;
use prepare::Prepared;
pub use prepare::try_settings;
pub use reach::{check_tls, reach};
use stages::{Base, Stages};

pub use hookwright_server::certificate_end;
pub use hookwright_store_embedded::{IndexCheck, check_index, faults_in};

/// What the caller brings beside the settings.
#[derive(Default)]
pub struct Setup {
    /// None where the process has no recorder.
    pub metrics: Option<PrometheusHandle>,
    /// The settings file, to be read again when it changes; none: never.
    pub settings: Option<Watched>,
    /// Compiles plugins; none: this process.
    pub compiler: Option<Compiler>,
    /// None where the process has no log set-up.
    pub log: Option<Levels>,
}

/// A settings file that is read again when it, or a file that it names, changes.
pub struct Watched {
    pub path: PathBuf,
    /// What the files held when the active settings were read, so that no change is missed.
    pub seen: Seen,
}

/// The active settings: a reload puts others in their place, everybody else reads.
type ActiveConfig = Arc<RwLock<Config>>;

/// A running host: what it takes to tell where it is, and to stop it in order.
pub struct App {
    config: ActiveConfig,
    stages: Stages,
    store: Arc<dyn Store>,
    ingress: SocketAddr,
    admin: SocketAddr,
    /// Whether the ingress speaks TLS.
    secure: bool,
    /// Whether it takes events: false before the start is over, and from the stop on.
    ready: Arc<AtomicBool>,
    /// Ingress and admin: they stop first.
    servers: Tasks,
    admin_servers: Tasks,
    /// Everything but the servers.
    work: Tasks,
}

/// The two ports, reserved before anything else and served last.
struct Listeners {
    ingress: Listener,
    admin: Listener,
}

impl App {
    /// Reserves the ports, opens the store, loads the plugins, resumes the
    /// backlog, and only then takes events.
    ///
    /// # Errors
    /// The first part that can't start; nothing runs then.
    pub async fn start(config: Config, mut setup: Setup) -> anyhow::Result<Self> {
        let prepared = tokio::task::block_in_place(|| prepare::prepare(&config));
        let prepared = prepared.map_err(|mistakes| {
            anyhow::anyhow!("mistakes in the settings\n{}", mistakes.render(false))
        })?;
        let listeners = Listeners {
            ingress: server::bind(config.ingress.listen).context("[ingress] listen")?,
            admin: server::bind(config.admin.listen).context("[admin] listen")?,
        };
        let (tasks, clock) = (Tasks::new(), Clock::system());
        let handoffs = Arc::new(Handoffs::default());
        let store = open::store(&config, clock.clone(), handoffs.clone()).await?;
        let base = Base { store, handoffs, clock, tasks };
        let compiler = setup.compiler.take().unwrap_or(Compiler::InProcess);
        let plugins =
            open::plugins(&config, compiler, &*base.store, &*base.store, &base.clock).await;
        let started = match plugins {
            Ok(plugins) => {
                let opened = plugins.clone();
                let started =
                    Self::start_parts(config, setup, prepared, listeners, &base, plugins).await;
                if started.is_err() {
                    opened.undo();
                }
                started
            }
            Err(error) => Err(error),
        };
        if started.is_err() {
            base.tasks.drain(Duration::from_secs(5)).await;
            let _ = base.store.close().await;
        }
        started
    }

    /// Everything over the open store, the servers last: what may fail comes before them.
    async fn start_parts(
        config: Config,
        setup: Setup,
        prepared: Prepared,
        listeners: Listeners,
        base: &Base,
        plugins: Plugins,
    ) -> anyhow::Result<Self> {
        let Base { store, clock, tasks, .. } = base;
        let Prepared { tls, destinations } = prepared;
        let audit = tokio::task::block_in_place(|| store::AuditLog::open(&config.data_dir));
        let audit = Arc::new(audit.context("the audit log in `data_dir`")?);
        let traces = tokio::task::block_in_place(|| traces::start(config.traces.as_ref(), tasks));
        let traces = traces.context("[traces] endpoint")?;
        let spans = traces.as_ref().map(|exports| exports.spans.clone());
        let budget = options::budget(&config);
        let stages =
            Stages::start(&config, base, plugins, destinations, spans, budget.clone()).await?;
        let (queries, queue, jobs) = (store.clone(), store.clone(), store.clone());
        let replays =
            admin::Replays::start(queries, queue, jobs, clock.clone(), tasks.clone()).await;
        let replays = replays.context("the bulk replays")?;
        stop::with_the_store(&**store, tasks);
        retention::start(config.retention, store.clone(), store.clone(), clock.clone(), tasks);

        let active: ActiveConfig = Arc::new(RwLock::new(config.clone()));
        let tokens = admin::Tokens::new(config.admin.tokens.clone());
        let (requests, requested) = reload::requests();
        if let Some(watched) = setup.settings {
            let reloader = reload::Reloader {
                path: watched.path,
                config: active.clone(),
                stages: stages.clone(),
                traces,
                tokens: tokens.clone(),
                log: setup.log.clone(),
                tls: tls.clone(),
                audit: audit.clone(),
                clock: clock.clone(),
            };
            reload::watch(reloader, watched.seen, requested, tasks)?;
        }
        let recent = admin::Recent::default();
        if let Some(metrics) = &setup.metrics {
            upkeep::take_in(metrics.clone(), tasks);
            let (queries, clock) = (store.clone(), clock.clone());
            upkeep::sample(metrics.clone(), recent.clone(), queries, clock, tasks);
        }
        let app = Self {
            config: active.clone(),
            stages: stages.clone(),
            store: store.clone(),
            ingress: listeners.ingress.address(),
            admin: listeners.admin.address(),
            secure: tls.is_some(),
            ready: Arc::default(),
            servers: Tasks::new(),
            admin_servers: Tasks::new(),
            work: tasks.clone(),
        };
        let control = control::HostControl {
            config: active.clone(),
            stages: stages.clone(),
            listens: app.ingress,
            secure: app.secure,
            ready: app.ready.clone(),
            reloads: requests,
        };
        let admin = admin::Options {
            tokens,
            queries: store.clone(),
            work_queue: store.clone(),
            maintenance: store.clone(),
            audit,
            tasks: tasks.clone(),
            bounds: admin::Bounds::default(),
            control: Arc::new(control),
            clock: clock.clone(),
            backups: config.store.backups.clone(),
            replays,
            metrics: setup.metrics,
            recent,
            log: setup.log,
        };
        app.serve(listeners, options::server(&config, tls, budget), admin);
        let observed = alerts::Observed {
            config: active,
            queries: store.clone(),
            maintenance: store.clone(),
            stages,
        };
        alerts::start(observed, store.clone(), Clock::system(), tasks);
        app.ready.store(true, Ordering::SeqCst);
        Ok(app)
    }

    fn serve(&self, listeners: Listeners, ingress: server::Options, admin: admin::Options) {
        let Listeners { ingress: ingress_listener, admin: admin_listener } = listeners;
        let (service, stop) = (self.stages.ingress.clone(), self.servers.stopping());
        self.servers.spawn("ingress", server::serve(ingress_listener, ingress, service, stop));
        let (service, stop) = (Tower(admin::router(admin)), self.admin_servers.stopping());
        let options = options::admin_server();
        self.admin_servers.spawn("admin", server::serve(admin_listener, options, service, stop));
    }

    /// Where sources post to.
    pub fn ingress_address(&self) -> SocketAddr {
        self.ingress
    }

    /// Whether sources post over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Where the API and the console are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }
}

/// Logs a text of several lines, such as mistakes with their places: one entry of the log is one line.
fn told_by_lines(text: &str) {
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        tracing::error!("{line}");
    }
}
