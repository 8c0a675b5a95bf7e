//! Turns the settings of sources into the intake's options.
use std::sync::Arc;

use anyhow::Context;

use super::options::usize_of;
use hookwright_config as config;
use hookwright_config::{Config, Selector};
use hookwright_intake as intake;
use hookwright_intake::{KeyFrom, KindFrom, http};
use hookwright_server as server;
use hookwright_signing::hops::Hops;

pub(super) fn intake(hops: Arc<Hops>, budget: server::Budget) -> intake::Options {
    intake::Options { budget, hops: Some(hops) }
}

pub(super) fn http(config: &Config) -> anyhow::Result<http::Options> {
    let proxies = http::Proxies {
        trusted: config.ingress.trusted_proxies.clone(),
        told_by: match config.ingress.client_header {
            config::ClientHeader::XForwardedFor => http::ToldBy::XForwardedFor,
            config::ClientHeader::Forwarded => http::ToldBy::Forwarded,
        },
    };
    let body_timeout = config.ingress.body_timeout;
    let keys = super::fetch::Keys::new().context("the client that fetches keys")?;
    let fetch = Arc::new(keys);
    Ok(http::Options { sources: sources(config), proxies, fetch, body_timeout })
}

pub(super) fn sources(config: &Config) -> http::Sources {
    config.sources.iter().map(|(name, source)| (name.clone(), endpoint(config, source))).collect()
}

fn endpoint(config: &Config, source: &config::SourceConfig) -> http::EndpointOptions {
    http::EndpointOptions {
        source: events(config, source),
        verify: source.verify.clone(),
        tokens: source.access.tokens.clone(),
        require_tls: source.access.require_tls,
        client: source.access.client.as_ref().map(|client| http::ClientPins {
            names: client.san.clone(),
            fingerprints: client.sha256.clone(),
        }),
        allow: source.access.allow.clone().unwrap_or_default(),
        rate_per_address: source.access.rate_per_address.map(rate),
        methods: source.methods.clone(),
        success: source.success,
        bin: source.bin,
        respond_within: answers(config, source).then_some(source.respond_within),
        answer: source.answer.as_ref().map(|answer| http::Answer {
            status: answer.status,
            content_type: answer.content_type.clone(),
            body: answer.body.clone().into(),
        }),
    }
}

/// What holds for a source's events whatever protocol they come by.
fn events(config: &Config, source: &config::SourceConfig) -> intake::SourceOptions {
    intake::SourceOptions {
        kind: source.kind.as_ref().map_or(KindFrom::None, kind),
        dedupe: source
            .dedupe
            .as_ref()
            .map(|dedupe| intake::DedupeFrom { key: key(&dedupe.key), window: dedupe.window }),
        rate: source.access.rate.map(rate),
        max_body: usize_of(config.max_body(source)),
        rules: source
            .validate
            .as_ref()
            .filter(|validate| validate.on_invalid == config::OnInvalid::Refuse)
            .map(|validate| validate.rules.clone()),
        decompress: source.decompress,
        max_json_depth: config.ingress.max_json_depth,
    }
}

/// Whether one of the source's plugins may answer its requests.
pub(super) fn answers(config: &Config, source: &config::SourceConfig) -> bool {
    let granted =
        |plugin: &config::PluginConfig| plugin.spec.grants.iter().any(|grant| grant == "responder");
    source.plugins.iter().filter_map(|name| config.plugins.get(name)).any(granted)
}

fn kind(at: &Selector) -> KindFrom {
    match at {
        // No kind stands where an id does.
        Selector::Id => KindFrom::None,
        Selector::Header(name) => KindFrom::Header(name.clone()),
        Selector::HeaderIs(name, value) => KindFrom::HeaderIs(name.clone(), value.clone()),
        Selector::Json(pointer) => KindFrom::Pointer(pointer.clone()),
        Selector::Form(field) => KindFrom::Form(field.clone()),
        Selector::CloudEvents => KindFrom::CloudEvents,
        Selector::First(all) => KindFrom::First(all.iter().map(kind).collect()),
    }
}

fn part(at: &Selector) -> KeyFrom {
    match at {
        Selector::Id => KeyFrom::Id,
        Selector::Header(name) | Selector::HeaderIs(name, _) => KeyFrom::Header(name.clone()),
        Selector::Json(pointer) => KeyFrom::Pointer(pointer.clone()),
        Selector::Form(field) => KeyFrom::Form(field.clone()),
        Selector::CloudEvents => KeyFrom::CloudEvents,
        Selector::First(all) => KeyFrom::First(all.iter().map(part).collect()),
    }
}

fn key(key: &config::DedupeKey) -> KeyFrom {
    match key {
        config::DedupeKey::Body => KeyFrom::Body,
        config::DedupeKey::Parts(parts) => match parts.as_slice() {
            [one] => part(one),
            several => KeyFrom::All(several.iter().map(part).collect()),
        },
    }
}

fn rate(rate: hookwright_model::Rate) -> intake::Rate {
    intake::Rate { per_s: rate.per_second(), burst: rate.count.get() }
}
