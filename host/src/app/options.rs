//! Turns the settings into each part's options.
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::sources;
use hookwright_admin as admin;
use hookwright_config as config;
use hookwright_config::Config;
use hookwright_delivery as delivery;
use hookwright_delivery::{DestinationOptions, FileOptions, LinesOptions, PostOptions, To};
use hookwright_egress as egress;
use hookwright_model::Name;
use hookwright_model::clock::Clock;
use hookwright_plugins as plugins;
use hookwright_plugins::Compiler;
use hookwright_routing::{FirstWaits, Known, OnFailure, Order, Orders, Pipeline, Pipelines, Step};
use hookwright_server as server;
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
        max_connections: ingress.max_connections,
        header_timeout: ingress.header_timeout,
        idle_timeout: ingress.idle_timeout,
        drain: config.shutdown,
        max_headers: ingress.max_headers,
        max_header_bytes: usize_of(ingress.max_header_bytes),
        proxies: if ingress.proxy_protocol { ingress.trusted_proxies.clone() } else { Vec::new() },
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
        max_connections: 1024,
        max_per_address: 256,
        reserved: &["/healthz", "/readyz"],
        ..server::Options::new("admin")
    }
}

/// Who may use the admin side: by their hashes only.
pub(super) fn tokens(config: &Config) -> Vec<admin::Token> {
    let own = config.admin.token.as_ref().map(|token| admin::Token {
        name: "admin.token".to_owned(),
        hash: Sha256::digest(token.expose()).into(),
        scope: admin::Scope::Admin,
    });
    let named = config.admin.tokens.iter().map(|(name, token)| admin::Token {
        name: name.to_string(),
        hash: token.hash,
        scope: match token.scope {
            config::TokenScope::Read => admin::Scope::Read,
            config::TokenScope::Replay => admin::Scope::Replay,
            config::TokenScope::Admin => admin::Scope::Admin,
        },
    });
    own.into_iter().chain(named).collect()
}

pub(super) fn tls(config: &Config) -> Result<Option<server::Tls>, server::TlsError> {
    let Some(tls) = &config.ingress.tls else { return Ok(None) };
    let config::TlsConfig { cert, key, client_ca } = tls.clone();
    let files = server::TlsFiles { cert, key, client_ca };
    server::Tls::load(files).map(Some)
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
    config.plugins.iter().map(|(name, plugin)| spec(name.clone(), plugin)).collect()
}

fn spec(name: Name, plugin: &config::PluginConfig) -> plugins::Spec {
    plugins::Spec {
        name,
        file: plugin.file.clone().into(),
        config_json: plugin.config.clone(),
        headers: plugin.headers.iter().map(ToString::to_string).collect(),
        grants: plugin.grants.clone(),
        limits: plugins::Limits {
            time: plugin.limits.time,
            memory: plugin.limits.memory,
            output: plugin.limits.output,
            log: plugin.limits.log,
        },
        candidate: plugin.candidate.as_ref().map(|candidate| plugins::Candidate {
            file: candidate.file.clone().into(),
            mode: candidate.canary.map_or(plugins::Mode::Shadow, plugins::Mode::Canary),
        }),
        quarantine: plugins::Quarantine {
            calls: plugin.quarantine.calls,
            failures: plugin.quarantine.failures,
            wait: plugin.quarantine.wait,
        },
        warm: plugin.instances.as_ref().map(|instances| plugins::Warm {
            keep: usize_of(instances.warm.into()),
            calls: instances.calls,
        }),
    }
}

pub(super) fn pipelines(config: &Config) -> Pipelines {
    let waits = config.destinations.iter().filter(|(_, to)| !to.retry.first.is_zero());
    let waits: Arc<FirstWaits> =
        Arc::new(waits.map(|(name, to)| (name.clone(), to.retry.first)).collect());
    let orders = config.destinations.iter().filter_map(|(name, to)| match to.lane.order {
        config::Order::None => None,
        config::Order::Source => Some((name.clone(), Order::Source)),
        config::Order::Key => Some((name.clone(), Order::Key)),
    });
    let orders: Arc<Orders> = Arc::new(orders.collect());
    let known: Arc<Known> = Arc::new(config.destinations.keys().cloned().collect());
    let pipeline = |source: &config::SourceConfig| {
        let steps = source.plugins.iter().map(|plugin| Step {
            plugin: plugin.clone(),
            on_failure: match config.plugins.get(plugin).map(|plugin| plugin.on_failure) {
                Some(config::OnFailure::Skip) => OnFailure::Skip,
                Some(config::OnFailure::DeadLetter) => OnFailure::DeadLetter,
                Some(config::OnFailure::Park) | None => OnFailure::Park,
            },
        });
        let pipeline = Pipeline::new(steps.collect(), source.destinations.clone(), waits.clone())
            .ordered(orders.clone())
            .known(known.clone())
            .answers(sources::answers(config, source));
        match &source.validate {
            Some(validate) if validate.on_invalid == config::OnInvalid::Park => {
                pipeline.park_unless(validate.rules.clone())
            }
            _ => pipeline,
        }
    };
    let named = config.sources.iter().map(|(name, source)| (name.clone(), pipeline(source)));
    named.chain(super::alerts::pipelines(config, &waits)).collect()
}

pub(super) fn delivery(
    config: &Config,
    destinations: HashMap<Name, DestinationOptions>,
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

/// A destination with what is filled in for it when it is sent.
pub(super) fn filled(
    config: &Config,
    name: &Name,
    to: &config::DestinationConfig,
) -> Result<DestinationOptions, Unread> {
    let mut options = destination(to)?;
    if let To::Post(post) = &mut options.to {
        post.fill = super::alerts::fill(config, name);
    }
    Ok(options)
}

/// A file that a destination's settings name can't be read.
#[derive(Debug, thiserror::Error)]
#[error("{key} can't be read: {cause}")]
pub(super) struct Unread {
    /// Below `destinations.NAME`.
    pub(super) key: &'static str,
    pub(super) cause: std::io::Error,
}

pub(super) fn destination(to: &config::DestinationConfig) -> Result<DestinationOptions, Unread> {
    let mut headers = HeaderMap::new();
    for (name, value) in &to.headers {
        headers.append(name.clone(), value.clone());
    }
    let lines = |file| To::Lines(LinesOptions { file, timeout: to.timeout });
    let kind = match &to.to {
        config::ToConfig::Url(url) => To::Post(Box::new(PostOptions {
            sign: to.sign.clone(),
            auth: to.auth.as_ref().map(auth),
            timeout: to.timeout,
            transport: transport(&to.transport)?,
            headers,
            ..PostOptions::new(url.clone())
        })),
        config::ToConfig::Stdout => lines(None),
        config::ToConfig::File(file) => lines(Some(FileOptions {
            path: file.path.clone(),
            max_size: file.max_size,
            max_age: file.max_age,
            keep: file.keep,
            mode: file.mode,
        })),
    };
    Ok(DestinationOptions {
        to: kind,
        policy: to.retry.clone(),
        rate: to.rate.and_then(|rate| {
            let count = std::num::NonZeroU32::new(rate.count)?;
            Some(delivery::Rate { count, per: rate.per })
        }),
        in_flight: to.in_flight,
        batch: to.lane.batch.as_ref().map(|batch| delivery::Batch {
            events: batch.events,
            wait: batch.wait,
            bytes: usize_of(batch.size),
            format: match batch.format {
                config::BatchFormat::Array => delivery::Format::Array,
                config::BatchFormat::Lines => delivery::Format::Lines,
            },
        }),
        adaptive: to.lane.adaptive,
        breaker: to.lane.breaker.as_ref().map(|breaker| delivery::Breaker {
            failures: f64::from(breaker.failures) / 100.0,
            attempts: breaker.attempts,
            window: breaker.window,
            wait: breaker.wait,
            cap: breaker.cap,
        }),
        disable_after: to.lane.disable_after,
        disabled: to.disabled,
    })
}

fn auth(auth: &config::AuthConfig) -> delivery::Auth {
    match auth.clone() {
        config::AuthConfig::Header(name, value) => delivery::Auth::Header(name, value),
        config::AuthConfig::OAuth2 { token_url, grant } => {
            delivery::Auth::OAuth2(delivery::OAuth2 { token_url, grant })
        }
        config::AuthConfig::Aws(aws) => delivery::Auth::Aws(aws),
    }
}

fn transport(to: &config::TransportConfig) -> Result<egress::Transport, Unread> {
    let read = |key: &'static str, path: &Path| {
        std::fs::read(path).map(Bytes::from).map_err(|cause| Unread { key, cause })
    };
    let identity = match (&to.tls.cert, &to.tls.key) {
        (Some(cert), Some(key)) => {
            Some(egress::Identity { chain: read("tls.cert", cert)?, key: key.clone() })
        }
        _ => None,
    };
    Ok(egress::Transport {
        reach: match &to.allow_private {
            config::AllowPrivate::None => egress::Reach::Public,
            config::AllowPrivate::Networks(networks) => egress::Reach::Networks(networks.clone()),
            config::AllowPrivate::All => egress::Reach::Any,
        },
        tls: egress::TlsOptions {
            ca: to.ca.as_deref().map(|path| read("ca", path)).transpose()?,
            pins: to.tls.pin.clone(),
            identity,
            min: if to.tls.min_13 { egress::TlsVersion::V13 } else { egress::TlsVersion::V12 },
        },
        proxy: to.proxy.as_ref().map(|proxy| egress::Proxy {
            url: proxy.url.clone(),
            authorization: proxy.authorization.clone(),
        }),
        http2: to.http2,
        phases: egress::Phases {
            connect: to.timeouts.connect,
            tls: to.timeouts.tls,
            first_byte: to.timeouts.first_byte,
        },
    })
}

/// Sizes of the settings are far below what a machine can address.
pub(super) fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
