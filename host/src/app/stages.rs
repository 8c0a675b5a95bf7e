//! The stages that an event passes: the ingress, the router with its plugins, and the delivery.
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use anyhow::Context;
use tokio::runtime::Handle;

use super::handoff::Handoffs;
use super::{host_key, options, plugins as settings_of_plugins, sources, told_by_lines};
use hookwright_config::{Config, Mistakes};
use hookwright_delivery as delivery;
use hookwright_intake::{self as intake, Intake};
use hookwright_model::Name;
use hookwright_model::clock::Clock;
use hookwright_model::replies::Replies;
use hookwright_model::tasks::Tasks;
use hookwright_plugins::{GateError, LoadError, Plugins};
use hookwright_routing::Router;
use hookwright_server as server;
use hookwright_settings::Destination;
use hookwright_signing::hops::Hops;
use hookwright_store::Store;
use hookwright_telemetry::traces::Spans;

/// What every stage stands on.
pub(super) struct Base {
    /// The whole of it: each stage is given the parts that it uses.
    pub(super) store: Arc<dyn Store>,
    /// Where the store hands on to; the stages are put there as they start.
    pub(super) handoffs: Arc<Handoffs>,
    pub(super) clock: Clock,
    /// Everything but the servers.
    pub(super) tasks: Tasks,
}

/// The stages as they run: what a reload reconfigures, the admin side asks and the alerts watch.
///
/// They know nothing of each other; an event goes from one to the next by the store.
#[derive(Clone)]
pub(super) struct Stages {
    /// The way in by HTTP.
    pub(super) ingress: intake::http::Handle,
    pub(super) router: Router,
    /// Asked by the router.
    pub(super) plugins: Plugins,
    pub(super) delivery: delivery::Handle,
}

impl Stages {
    /// Starts them from the last to the first, so that each finds the next one there, and loads the plugins before any
    /// of them.
    ///
    /// # Errors
    /// The first that can't start.
    pub(super) async fn start(
        config: &Config,
        base: &Base,
        plugins: Plugins,
        destinations: HashMap<Name, Destination>,
        spans: Option<Arc<Spans>>,
        budget: server::Budget,
    ) -> anyhow::Result<Self> {
        let Base { store, handoffs, clock, tasks } = base;
        load(config, &plugins, tasks).await;
        let key = tokio::task::block_in_place(|| host_key::load(config))?;
        let hops = Arc::new(Hops::new(&key, config.ingress.max_hops));
        let sent = delivery::Options {
            traces: spans.clone(),
            ..options::delivery(config, destinations, hops.clone())
        };
        let started =
            delivery::start(sent, store.clone(), store.clone(), clock.clone(), tasks.clone());
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
            tasks.clone(),
        );
        handoffs.router(router.clone());
        let intake = Intake::new(sources::intake(hops, budget), store.clone());
        let http = sources::http(config)?;
        let ingress = intake::http::Handle::new(http, intake, replies, clock.clone());
        intake::http::watch(&ingress, tasks);
        Ok(Self { ingress, router, plugins, delivery })
    }

    /// Activates new settings while events flow; pipelines change while the plugins of both settings answer.
    ///
    /// # Errors
    /// What the plugins or the delivery refuse; all stages are as they were then.
    pub(super) async fn reconfigure(
        &self,
        new: &Config,
        destinations: HashMap<Name, Destination>,
    ) -> Result<(), Mistakes> {
        // What may refuse comes first.
        let prepared = self.plugins.prepare(options::specs(new)).await;
        let plugins = prepared.map_err(|error| {
            let failed = error.0.iter().map(|(plugin, error)| (plugin, error));
            settings_of_plugins::all_mistakes(new, failed)
        })?;
        // It reads the machine's certificates.
        let changed = self.delivery.reconfigure(destinations);
        tokio::task::block_in_place(|| Handle::current().block_on(changed))
            .map_err(|error| refused(new, "destinations", &error))?;
        plugins.take_over();
        self.router.reconfigure(options::pipelines(new));
        self.ingress.reconfigure(&sources::sources(new));
        plugins.finish();
        Ok(())
    }
}

/// A part refuses what stands at that key.
pub(super) fn refused(config: &Config, key: &str, error: &dyn Display) -> Mistakes {
    let help = "the log of the host tells more".to_owned();
    Mistakes::from(config.written.mistake_at(key, error.to_string(), help))
}

/// Loads the components that are there, and watches their folder from then on. One that does not load is no reason not to
/// start: its events follow `on_failure`.
async fn load(config: &Config, plugins: &Plugins, tasks: &Tasks) {
    let reports = plugins.load_all().await;
    let failed = reports.iter().filter_map(|report| {
        let error = report.result.as_ref().err()?;
        matches!(error, LoadError::Gate(GateError::Config(_))).then_some((&report.plugin, error))
    });
    let mistakes = settings_of_plugins::all_mistakes(config, failed).render(false);
    if !mistakes.is_empty() {
        tracing::error!("mistakes in the settings of plugins");
        told_by_lines(&mistakes);
    }
    let (watched, stop) = (plugins.clone(), tasks.stopping());
    tasks.spawn("plugins", async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = watched.watch() => {}
        }
    });
}
