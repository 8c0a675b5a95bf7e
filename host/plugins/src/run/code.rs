//! Native code ready to be called: the host's functions linked to it, and what it exports found.
use std::sync::Arc;

use wasmtime::component::{Component, HasData, Linker};
use wasmtime::{Engine, Error, Result, Store};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::{WasiCtxView, WasiView};

use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::bindings::{PluginAll as Plugin, PluginAllPre as PluginPre};
use crate::run::guest::{Guest, HasGuest};
use crate::run::selections::Selections;
use crate::run::ticks::{Running, Ticker};
use crate::run::wasi::{Random, Wasi};

/// The host's side, linked once for plugins with and without WASI.
pub(crate) struct Linkers {
    plain: Linker<Guest>,
    wasi: Linker<Guest>,
    ticker: Arc<Ticker>,
}

impl Linkers {
    pub(crate) fn new(engine: &Engine, ticker: Arc<Ticker>) -> Result<Self> {
        let mut plain = Linker::new(engine);
        Plugin::add_to_linker::<_, HasGuest>(&mut plain, |guest| guest)?;
        let mut wasi = plain.clone();
        link_wasi(&mut wasi)?;
        Ok(Self { plain, wasi, ticker })
    }

    pub(crate) fn of(&self, wants_wasi: bool) -> &Linker<Guest> {
        if wants_wasi { &self.wasi } else { &self.plain }
    }
}

/// A component linked and typed. Shared by all plugins of one file and settings.
pub(crate) struct Code {
    pre: PluginPre<Guest>,
    /// Where `handle` is, so that a call looks up and checks nothing else.
    handler: handler::GuestIndices,
    /// The settings, where there is no snapshot and each call must begin with `init`.
    init: Option<String>,
    pub(crate) wants_wasi: bool,
    /// The pointers that its guests looked up before.
    pub(crate) selections: Arc<Selections>,
    ticker: Arc<Ticker>,
}

impl Code {
    pub(crate) fn new(
        linkers: &Linkers,
        component: &Component,
        wants_wasi: bool,
        init: Option<String>,
    ) -> Result<Self> {
        let pre = PluginPre::new(linkers.of(wants_wasi).instantiate_pre(component)?)?;
        let handler = handler::GuestIndices::new(pre.instance_pre())?;
        let (selections, ticker) = (Arc::default(), linkers.ticker.clone());
        Ok(Self { pre, handler, init, wants_wasi, selections, ticker })
    }

    /// To be held while a guest of this code runs.
    pub(crate) fn running(&self) -> Running<'_> {
        self.ticker.run()
    }

    /// Instantiates it, and runs `init` where there is no snapshot.
    pub(crate) async fn instantiate(&self, store: &mut Store<Guest>) -> Result<handler::Guest> {
        let instance = self.pre.instance_pre().instantiate_async(&mut *store).await?;
        store.data_mut().meter.start();
        if let Some(config) = &self.init {
            let plugin = Plugin::new(&mut *store, &instance)?;
            let ready = plugin.hookwright_plugin_lifecycle().call_init(&mut *store, config).await?;
            ready.map_err(|_| Error::msg("`init` refuses settings that it took at load"))?;
        }
        self.handler.load(&mut *store, &instance)
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }
}

/// Links the interfaces that the gate lets through.
fn link_wasi(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Over WASI's own, whose numbers differ from run to run.
    linker.allow_shadowing(true);
    random::add_to_linker::<Guest, HasRandom>(linker, chance)?;
    insecure::add_to_linker::<Guest, HasRandom>(linker, chance)?;
    insecure_seed::add_to_linker::<Guest, HasRandom>(linker, chance)?;
    // Over WASI's own, whose waits take time and so tell it.
    monotonic_clock::add_to_linker::<Guest, HasWasi>(linker, wasi)?;
    poll::add_to_linker::<Guest, HasWasi>(linker, wasi)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn wasi(guest: &mut Guest) -> &mut Wasi {
    guest.wasi.as_mut().expect("whoever links WASI gives each guest its world")
}

fn chance(guest: &mut Guest) -> &mut Random {
    wasi(guest).random()
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        wasi(self).view()
    }
}

struct HasWasi;

impl HasData for HasWasi {
    type Data<'a> = &'a mut Wasi;
}

struct HasRandom;

impl HasData for HasRandom {
    type Data<'a> = &'a mut Random;
}
