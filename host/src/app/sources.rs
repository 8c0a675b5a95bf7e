//! What the intake is made of: the sources, the budget, and the way in by HTTP.
use std::sync::Arc;

use anyhow::Context;

use hookwright_config::Config;
use hookwright_intake as intake;
use hookwright_intake::http;
use hookwright_server as server;
use hookwright_signing::hops::Hops;

pub(super) fn intake(hops: Arc<Hops>, budget: server::Budget) -> intake::Options {
    intake::Options { budget, hops: Some(hops) }
}

pub(super) fn http(config: &Config) -> anyhow::Result<http::Options> {
    let proxies = config.ingress.proxies.clone();
    let body_timeout = config.ingress.body_timeout;
    let keys = super::fetch::Keys::new().context("the client that fetches keys")?;
    let fetch = Arc::new(keys);
    Ok(http::Options { sources: sources(config), proxies, fetch, body_timeout })
}

pub(super) fn sources(config: &Config) -> http::Sources {
    let sources = config.sources.iter();
    sources.map(|(name, source)| (name.clone(), source.endpoint.clone())).collect()
}
