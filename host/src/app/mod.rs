//! Settings → parts → run: the only place that knows all of them.
mod alerts;
mod control;
mod data_dir;
mod fetch;
mod files;
mod handoff;
mod host_key;
mod options;
mod plugin_http_client;
pub mod plugins;
mod prepare;
mod reach;
mod reload;
mod sources;
mod stop;
mod traces;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::RwLock;
use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;

use hookwright_admin as admin;
use hookwright_admin::retention;
use hookwright_config::{Config, Seen};
use hookwright_delivery as delivery;
use hookwright_intake::{self as intake, Intake};
use hookwright_model::Name;
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_model::tasks::Tasks;
use hookwright_plugins::{Compiler, GateError, InFlightLedger, LoadError, Plugins, State};
use hookwright_routing::Router;
use hookwright_server as server;
use hookwright_server::{Listener, Tower};
use hookwright_settings::Destination;
use hookwright_signing::hops::Hops;
use hookwright_store as store;
use hookwright_store::{Handoff, Store};
use hookwright_telemetry::Levels;

pub use data_dir::too_open;
use handoff::Handoffs;
use prepare::Prepared;
pub use prepare::try_settings;
pub use reach::{check_tls, reach};

pub use hookwright_server::certificate_end;
pub use hookwright_store_embedded::{IndexCheck, check_index, faults_in};

/// How often the metrics' histograms are taken in.
const UPKEEP: Duration = Duration::from_secs(5);

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
    /// Of the reading that is in force at the start, so that no change is missed.
    pub seen: Seen,
}

/// A running host.
pub struct App {
    parts: Arc<Parts>,
    ingress: SocketAddr,
    admin: SocketAddr,
    /// Ingress and admin: they stop first.
    servers: Tasks,
    admin_servers: Tasks,
}

/// The parts, as reload and control need them.
struct Parts {
    config: RwLock<Config>,
    store: Arc<dyn Store>,
    plugins: Plugins,
    router: Router,
    delivery: delivery::Handle,
    ingress: intake::http::Handle,
    /// Of heads and bodies on their way in.
    budget: server::Budget,
    replays: admin::Replays,
    /// Where the ingress listens, for those that have no public URL.
    listens: SocketAddr,
    tokens: admin::Tokens,
    audit: Arc<store::AuditLog>,
    log: Option<Levels>,
    clock: Clock,
    /// Of the ingress.
    tls: Option<server::Tls>,
    traces: Option<traces::Exports>,
    asks: reload::Asks,
    /// Everything but the servers.
    work: Tasks,
    ready: AtomicBool,
}

impl App {
    /// Reserves the ports, opens the store, loads the plugins, resumes the
    /// backlog, and only then takes events.
    ///
    /// # Errors
    /// The first part that can't start; nothing runs then.
    pub async fn start(config: Config, setup: Setup) -> anyhow::Result<Self> {
        let prepared = tokio::task::block_in_place(|| prepare::prepare(&config));
        let Prepared { tls, destinations } = prepared.map_err(|mistakes| {
            anyhow::anyhow!("mistakes in the settings\n{}", mistakes.render(false))
        })?;
        let ingress_listener = server::bind(config.ingress.listen).context("[ingress] listen")?;
        let admin_listener = server::bind(config.admin.listen).context("[admin] listen")?;
        let (work, clock) = (Tasks::new(), Clock::system());
        let (asks, asked) = reload::asks();

        let handoffs = Arc::new(Handoffs::default());
        let store = open_store(&config, clock.clone(), handoffs.clone()).await?;
        let compiler = setup.compiler.unwrap_or(Compiler::InProcess);
        let started = match open_plugins(&config, compiler, store.clone(), &clock).await {
            Ok(plugins) => {
                let opened = plugins.clone();
                let ready = (plugins, destinations);
                let started =
                    Self::start_parts(&config, &work, &clock, store.clone(), &handoffs, ready);
                let listens = ingress_listener.address();
                let log = setup.log.clone();
                let started = started.await;
                if started.is_err() {
                    opened.undo();
                }
                started.map(|parts| Parts { tls: tls.clone(), listens, log, asks, ..parts })
            }
            Err(error) => Err(error),
        };
        let parts = match started {
            Ok(parts) => Arc::new(parts),
            Err(error) => {
                work.drain(Duration::from_secs(5)).await;
                let _ = store.close().await;
                return Err(error);
            }
        };
        let recent = admin::Recent::default();
        let app = Self {
            ingress: ingress_listener.address(),
            admin: admin_listener.address(),
            servers: Tasks::new(),
            admin_servers: Tasks::new(),
            parts,
        };
        if let Some(metrics) = &setup.metrics {
            app.keep_up(metrics.clone());
            app.look(metrics.clone(), recent.clone());
        }
        let admin = admin::Options {
            tokens: app.parts.tokens.clone(),
            queries: app.parts.store.clone(),
            work_queue: app.parts.store.clone(),
            maintenance: app.parts.store.clone(),
            audit: app.parts.audit.clone(),
            tasks: app.parts.work.clone(),
            bounds: admin::Bounds::default(),
            control: app.parts.clone(),
            clock,
            backups: config.store.backups.clone(),
            replays: app.parts.replays.clone(),
            metrics: setup.metrics,
            recent,
            log: setup.log,
        };
        app.serve(&config, ingress_listener, admin_listener, admin);
        if let Some(watched) = setup.settings {
            reload::watch(watched, asked, app.parts.clone())?;
        }
        alerts::start(&app.parts, Clock::system());
        app.parts.ready.store(true, Ordering::SeqCst);
        Ok(app)
    }

    async fn start_parts(
        config: &Config,
        work: &Tasks,
        clock: &Clock,
        store: Arc<dyn Store>,
        handoffs: &Handoffs,
        (plugins, destinations): (Plugins, HashMap<Name, Destination>),
    ) -> anyhow::Result<Parts> {
        let reports = plugins.load_all().await;
        let failed = reports.iter().filter_map(|report| {
            let error = report.result.as_ref().err()?;
            matches!(error, LoadError::Gate(GateError::Config(_)))
                .then_some((&report.plugin, error))
        });
        let mistakes = plugins::all_mistakes(config, failed).render(false);
        if !mistakes.is_empty() {
            tracing::error!("mistakes in the settings of plugins");
            told_by_lines(&mistakes);
        }
        let watched = plugins.clone();
        let stop = work.stopping();
        work.spawn("plugins", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = watched.watch() => {}
            }
        });

        let audit = tokio::task::block_in_place(|| store::AuditLog::open(&config.data_dir));
        let audit = audit.context("the audit log in `data_dir`")?;
        let key = tokio::task::block_in_place(|| host_key::load(config))?;
        let hops = Arc::new(Hops::new(&key, config.ingress.max_hops));
        let traces = tokio::task::block_in_place(|| traces::start(config.traces.as_ref(), work));
        let traces = traces.context("[traces] endpoint")?;
        let spans = traces.as_ref().map(|exports| exports.spans.clone());
        let sent = delivery::Options {
            traces: spans.clone(),
            ..options::delivery(config, destinations, hops.clone())
        };
        let tasks = work.clone();
        let started = delivery::start(sent, store.clone(), store.clone(), clock.clone(), tasks);
        // It reads the machine's certificates.
        let delivery = tokio::task::block_in_place(|| Handle::current().block_on(started));
        let delivery = delivery.context("[destinations]")?;
        handoffs.delivery(delivery.clone());
        let replies = Replies::default();
        let router = Router::start(
            options::pipelines(config),
            plugins.clone(),
            store.clone(),
            replies.clone(),
            clock.clone(),
            spans,
            work.clone(),
        );
        handoffs.router(router.clone());
        let (queries, queue, jobs) = (store.clone(), store.clone(), store.clone());
        let replays =
            admin::Replays::start(queries, queue, jobs, clock.clone(), work.clone()).await;
        let replays = replays.context("the bulk replays")?;
        let (died, stop, all) = (store.died(), work.stopping(), work.clone());
        work.spawn("store", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                why = died => {
                    tracing::error!(why, "the host ends, so that it is started again");
                    all.stop();
                }
            }
        });
        retention::start(config.retention, store.clone(), store.clone(), clock.clone(), work);
        let budget = options::budget(config);
        let intake = Intake::new(sources::intake(hops, budget.clone()), store.clone());
        let ingress =
            intake::http::Handle::new(sources::http(config)?, intake, replies, clock.clone());
        intake::http::watch(&ingress, work);
        Ok(Parts {
            config: RwLock::new(config.clone()),
            store,
            plugins,
            router,
            delivery,
            ingress,
            budget,
            replays,
            listens: config.ingress.listen,
            tokens: admin::Tokens::new(config.admin.tokens.clone()),
            audit: Arc::new(audit),
            log: None,
            clock: clock.clone(),
            tls: None,
            traces,
            asks: reload::asks().0,
            work: work.clone(),
            ready: AtomicBool::new(false),
        })
    }

    fn serve(
        &self,
        config: &Config,
        ingress_listener: Listener,
        admin_listener: Listener,
        admin: admin::Options,
    ) {
        let stop = self.servers.stopping();
        let budget = self.parts.budget.clone();
        let served = options::server(config, self.parts.tls.clone(), budget);
        let service = self.parts.ingress.clone();
        self.servers.spawn("ingress", server::serve(ingress_listener, served, service, stop));
        let served = options::admin_server();
        let stop = self.admin_servers.stopping();
        let service = Tower(admin::router(admin));
        self.admin_servers.spawn("admin", server::serve(admin_listener, served, service, stop));
    }

    /// The recorder's histograms grow until they are taken in, which a scrape
    /// does too; a host that nobody scrapes does it here.
    fn keep_up(&self, metrics: PrometheusHandle) {
        let stop = self.parts.work.stopping();
        self.parts.work.spawn("metrics", async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => metrics.run_upkeep(),
                }
            }
        });
    }

    /// Takes the figures of the last hour for the admin side.
    fn look(&self, metrics: PrometheusHandle, recent: admin::Recent) {
        let (stop, clock) = (self.parts.work.stopping(), self.parts.clock.clone());
        let store = self.parts.store.clone();
        self.parts.work.spawn("recent", async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(admin::STEP_MS));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                let rows = store.backlog().await.unwrap_or_default();
                let waiting = rows.iter().map(|row| row.waiting).sum();
                recent.sample(&metrics.render(), waiting, clock.now_ms());
            }
        });
    }

    /// Where sources post to.
    pub fn ingress_address(&self) -> SocketAddr {
        self.ingress
    }

    /// Whether sources post over TLS.
    pub fn is_secure(&self) -> bool {
        self.parts.tls.is_some()
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

/// With what they kept before.
async fn open_plugins(
    config: &Config,
    compiler: Compiler,
    store: Arc<dyn Store>,
    clock: &Clock,
) -> anyhow::Result<Plugins> {
    let kept = store.state().await.context("the plugins' state")?;
    let newest = store::EventQuery { limit: 1, ..store::EventQuery::default() };
    let newest = store.events(&newest).await.context("the newest event")?;
    let newest = newest.first().map_or(0, |event| event.id.row());
    let ledger = tokio::task::block_in_place(|| InFlightLedger::open(&config.data_dir, newest));
    let ledger = Arc::new(ledger.context("events in hand")?);
    let opened = plugin_http_client::PluginHttpClient::new()
        .context("requests of plugins")
        .and_then(|fetch| {
            let mut options = options::engine(config, compiler, State::new(clock.clone(), kept));
            options.ledger = Some(ledger.clone());
            options.fetch = Some(Arc::new(fetch));
            Ok(Plugins::open(options, options::specs(config))?)
        });
    if opened.is_err() {
        ledger.undo();
    }
    opened
}

async fn open_store(
    config: &Config,
    clock: Clock,
    handoffs: Arc<Handoffs>,
) -> anyhow::Result<Arc<dyn Store>> {
    let options = options::store(config, clock);
    let handoff: Arc<dyn Handoff> = handoffs;
    let opened =
        tokio::task::spawn_blocking(move || hookwright_store_embedded::open(options, handoff))
            .await;
    let opened = opened.context("opening the store panicked")?;
    if let Some(what) = too_open(&config.data_dir) {
        tracing::warn!("{what}; `chmod 700` it");
    }
    opened.with_context(|| format!("the store in {}", config.data_dir.display()))
}
