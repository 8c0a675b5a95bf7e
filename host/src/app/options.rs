//! Turns the settings into each part's options.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use hookwright_config as config;
use hookwright_config::Config;
use hookwright_delivery as delivery;
use hookwright_model::Name;
use hookwright_model::clock::Clock;
use hookwright_plugins as plugins;
use hookwright_plugins::Compiler;
use hookwright_routing::{FirstWaits, Known, Orders, Pipeline, Pipelines, Step};
use hookwright_server as server;
use hookwright_settings::{Destination, ListenerLimits, To};
use hookwright_signing::hops::Hops;
use hookwright_store_embedded as embedded;

pub(super) fn store(config: &Config, clock: Clock) -> embedded::Options {
    let mut options = embedded::Options::new(&config.data_dir, clock);
    options.segment_bytes = config.store.segment;
    options.queue_bytes = usize_of(config.store.queue);
    options.linger = config.store.linger;
    options.reserve_bytes = config.store.reserve;
    options
}

pub(super) fn server(
    config: &Config,
    tls: Option<server::Tls>,
    budget: server::Budget,
) -> server::Options {
    let ingress = &config.ingress;
    server::Options {
        budget,
        limits: ingress.limits,
        drain: config.shutdown,
        proxies: if ingress.proxy_protocol { ingress.proxies.trusted.clone() } else { Vec::new() },
        tls,
        ..server::Options::new("ingress")
    }
}

/// What heads and bodies on their way in may take.
pub(super) fn budget(config: &Config) -> server::Budget {
    server::Budget::new("ingress", usize_of(config.ingress_memory()))
}

/// Of the admin side, whose documents are small.
pub(super) fn admin_server() -> server::Options {
    const ADMIN_MEMORY: usize = 16 * 1024 * 1024;
    server::Options {
        drain: Duration::from_millis(500),
        budget: server::Budget::new("admin", ADMIN_MEMORY),
        body_timeout: Some(Duration::from_secs(10)),
        limits: ListenerLimits { max_connections: 1024, ..ListenerLimits::default() },
        max_per_address: 256,
        reserved: &["/healthz", "/readyz"],
        ..server::Options::new("admin")
    }
}

pub(super) fn tls(config: &Config) -> Result<Option<server::Tls>, server::TlsError> {
    config.ingress.tls.clone().map(server::Tls::load).transpose()
}

pub(super) fn engine(
    config: &Config,
    compiler: Compiler,
    state: plugins::State,
) -> plugins::Options {
    let cache = config.data_dir.join("compiled");
    let mut options = plugins::Options::new(config.plugins_dir.clone(), cache, compiler);
    options.state = state;
    if let Some(instances) = config.engine.instances {
        options.max_instances = usize_of(instances.into());
    }
    options
}

pub(super) fn specs(config: &Config) -> Vec<plugins::Spec> {
    config.plugins.values().map(|plugin| plugin.spec.clone()).collect()
}

pub(super) fn pipelines(config: &Config) -> Pipelines {
    let waits = config.destinations.iter().filter(|(_, to)| !to.policy.first.is_zero());
    let waits: Arc<FirstWaits> =
        Arc::new(waits.map(|(name, to)| (name.clone(), to.policy.first)).collect());
    let orders =
        config.destinations.iter().filter_map(|(name, to)| Some((name.clone(), to.order?)));
    let orders: Arc<Orders> = Arc::new(orders.collect());
    let known: Arc<Known> = Arc::new(config.destinations.keys().cloned().collect());
    let pipeline = |source: &config::SourceConfig| {
        let steps = source.plugins.iter().map(|plugin| Step {
            plugin: plugin.clone(),
            on_failure: config
                .plugins
                .get(plugin)
                .map(|plugin| plugin.on_failure)
                .unwrap_or_default(),
        });
        let pipeline = Pipeline::new(steps.collect(), source.destinations.clone(), waits.clone())
            .ordered(orders.clone())
            .known(known.clone())
            .answers(source.endpoint.respond_within.is_some());
        match &source.park_unless {
            Some(rules) => pipeline.park_unless(rules.clone()),
            None => pipeline,
        }
    };
    let named = config.sources.iter().map(|(name, source)| (name.clone(), pipeline(source)));
    named.chain(super::alert_routes::pipelines(config, &waits)).collect()
}

pub(super) fn delivery(
    config: &Config,
    destinations: HashMap<Name, Destination>,
    hops: Arc<Hops>,
) -> delivery::Options {
    delivery::Options {
        destinations,
        excerpt: usize_of(config.delivery.response_excerpt),
        window: usize_of(config.delivery.memory),
        hops: Some(hops),
        ..delivery::Options::default()
    }
}

/// The destinations, each with the secret that is filled in when it is sent.
pub(super) fn destinations(config: &Config) -> HashMap<Name, Destination> {
    let filled = |(name, destination): (&Name, &Destination)| {
        let mut destination = destination.clone();
        if let To::Post(post) = &mut destination.to {
            post.fill = super::alert_routes::fill(config, name);
        }
        (name.clone(), destination)
    };
    config.destinations.iter().map(filled).collect()
}

/// Sizes of the settings are far below what a machine can address.
pub(super) fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
