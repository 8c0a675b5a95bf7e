//! Native code ready to be called: linking, stores, and one call from a fresh instance to its end.
use std::sync::Arc;

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Error, Result, Store};

use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::bindings::hookwright::plugin::types;
use crate::run::bindings::{PluginAll as Plugin, PluginAllPre as PluginPre};
use crate::run::host::{Guest, HasGuest};
use crate::run::kv::Changes;
use crate::run::ticks::{Running, Ticker};
use crate::run::wasi;
use hookwright_model::Reply;

/// Epochs until a guest gives way: one to two milliseconds.
const SLICE: u64 = 2;
/// What the records of a small answer may add to the bytes that the author sees.
const OUTPUT_SLACK: u64 = 64 << 10;

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
        wasi::link(&mut wasi)?;
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
        Ok(Self { pre, handler, init, wants_wasi, ticker: linkers.ticker.clone() })
    }

    /// To be held while a guest of this code runs.
    pub(crate) fn running(&self) -> Running<'_> {
        self.ticker.run()
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.engine()
    }
}

/// How one call ended.
pub(crate) struct Ended {
    pub(crate) answer: Result<std::result::Result<types::Verdict, types::Failure>>,
    pub(crate) out_of_memory: bool,
    /// Bytes of its memories and tables at the end.
    pub(crate) memory: u64,
    pub(crate) changes: Option<Box<Changes>>,
    /// What the source is to get.
    pub(crate) reply: Option<Box<Reply>>,
    /// Requests that it made.
    pub(crate) requests: u32,
}

/// A store for one call: metered, and giving way at every slice.
pub(crate) fn store(engine: &Engine, guest: Guest, output: u64) -> Store<Guest> {
    let mut store = Store::new(engine, guest);
    store.limiter_async(|guest| &mut guest.meter);
    ready(&mut store, output);
    store.epoch_deadline_async_yield_and_update(SLICE);
    store
}

/// What each call begins with.
fn ready(store: &mut Store<Guest>, output: u64) {
    let fuel = output.saturating_add(OUTPUT_SLACK);
    store.set_hostcall_fuel(usize::try_from(fuel).unwrap_or(usize::MAX));
    store.set_epoch_deadline(SLICE);
}

/// One event through a fresh instance, which is gone when this ends.
pub(crate) async fn handle(code: &Code, store: Store<Guest>, event: &handler::Event) -> Ended {
    match Instance::new(code, store).await {
        Ok(mut instance) => instance.handle(event).await,
        Err((error, mut store)) => ended(&mut store, Err(error)),
    }
}

pub(crate) fn ended(
    store: &mut Store<Guest>,
    answer: Result<std::result::Result<types::Verdict, types::Failure>>,
) -> Ended {
    let guest = store.data_mut();
    let changes = guest.changes.take();
    let reply = guest.replies.take().flatten();
    let meter = &guest.meter;
    let (out_of_memory, memory) = (meter.refused(), meter.used());
    Ended { answer, out_of_memory, memory, changes, reply, requests: guest.requests }
}

/// A guest that is ready for an event.
pub(crate) struct Instance {
    store: Store<Guest>,
    handler: handler::Guest,
    /// Events that it has handled.
    calls: u32,
}

impl Instance {
    /// # Errors
    /// With the store, which tells why the guest did not get ready.
    pub(crate) async fn new(
        code: &Code,
        mut store: Store<Guest>,
    ) -> std::result::Result<Self, (Error, Store<Guest>)> {
        match begin(code, &mut store).await {
            Ok(handler) => Ok(Self { store, handler, calls: 0 }),
            Err(error) => Err((error, store)),
        }
    }

    pub(crate) async fn handle(&mut self, event: &handler::Event) -> Ended {
        self.calls = self.calls.saturating_add(1);
        let body = wasmtime::component::Resource::new_borrow(0);
        let answer = self.handler.call_handle(&mut self.store, event, body).await;
        ended(&mut self.store, answer)
    }

    /// Makes it ready for another event, as if it had handled none; what the
    /// guest itself kept of the others is still there.
    pub(crate) fn renew(&mut self, guest: Guest, output: u64) {
        self.store.data_mut().renew(guest);
        ready(&mut self.store, output);
    }

    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }
}

async fn begin(code: &Code, store: &mut Store<Guest>) -> Result<handler::Guest> {
    let instance = code.pre.instance_pre().instantiate_async(&mut *store).await?;
    store.data_mut().meter.start();
    if let Some(config) = &code.init {
        let plugin = Plugin::new(&mut *store, &instance)?;
        let ready = plugin.hookwright_plugin_lifecycle().call_init(&mut *store, config).await?;
        ready.map_err(|_| Error::msg("`init` refuses settings that it took at load"))?;
    }
    code.handler.load(&mut *store, &instance)
}
