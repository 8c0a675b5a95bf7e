//! Opening what is on the disk: the store, and the plugins with what they kept.
use std::sync::Arc;

use anyhow::Context;

use super::handoff::Handoffs;
use super::plugin_http_client::PluginHttpClient;
use super::{data_dir, options};
use hookwright_config::Config;
use hookwright_model::clock::Clock;
use hookwright_plugins::{Compiler, InFlightLedger, Plugins, State};
use hookwright_store::{EventQuery, Handoff, PluginState, Queries, Store};

/// Opens the store in `data_dir`, and recovers what a crash left.
///
/// # Errors
/// What the engine says against the folder.
pub(super) async fn store(
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
    if let Some(what) = data_dir::too_open(&config.data_dir) {
        tracing::warn!("{what}; `chmod 700` it");
    }
    opened.with_context(|| format!("the store in {}", config.data_dir.display()))
}

/// Opens the plugins of the settings with what they kept before. None is loaded yet.
///
/// # Errors
/// What they kept or the ledger of events in hand can't be read, or the engine
/// can't be made. The ledger is then as if this had not been.
pub(super) async fn plugins(
    config: &Config,
    compiler: Compiler,
    queries: &dyn Queries,
    state: &dyn PluginState,
    clock: &Clock,
) -> anyhow::Result<Plugins> {
    let kept = state.state().await.context("the plugins' state")?;
    let newest = EventQuery { limit: 1, ..EventQuery::default() };
    let newest = queries.events(&newest).await.context("the newest event")?;
    let newest = newest.first().map_or(0, |event| event.id.row());
    let ledger = tokio::task::block_in_place(|| InFlightLedger::open(&config.data_dir, newest));
    let ledger = Arc::new(ledger.context("events in hand")?);
    let opened = PluginHttpClient::new().context("requests of plugins").and_then(|fetch| {
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
