//! One instance of a plugin: its store, and an event from its begin to its end.
use wasmtime::{Engine, Error, Result, Store};

use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::bindings::hookwright::plugin::types;
use crate::run::code::Code;
use crate::run::guest::Guest;
use crate::run::kv::Changes;
use hookwright_model::Reply;

/// Epochs until a guest gives way: one to two milliseconds.
const SLICE: u64 = 2;
/// What the records of a small answer may add to the bytes that the author sees.
const OUTPUT_SLACK: u64 = 64 << 10;

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
        match code.instantiate(&mut store).await {
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
