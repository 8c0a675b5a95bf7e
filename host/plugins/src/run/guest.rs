//! The data of one guest: its share of the host for one call, and what counts its calls into the host.
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::HasData;
use wasmtime::{Result, bail};

use crate::limits::HOST_CALLS;
use crate::run::fault::TooManyCalls;
use crate::run::kv::Changes;
use crate::run::log::Log;
use crate::run::meter::Meter;
use crate::run::network::NetworkPolicy;
use crate::run::selections::Selections;
use crate::run::slow::give_way;
use crate::run::wasi::Wasi;
use hookwright_model::Reply;
use hookwright_model::plugin::Limits;

/// Bytes that the host walks or copies for a guest before it gives way, so that the
/// time is looked at: some 2 ms. Guests that only call need not look themselves.
const INLINE_WORK: usize = 1 << 20;
/// What a call into the host costs beside that, in bytes walked.
const CALL_WORK: usize = 1 << 10;
/// A store's data: one call's share of the host.
pub(crate) struct Guest {
    pub(crate) meter: Meter,
    pub(crate) log: Arc<Log>,
    /// Only where the component imports WASI.
    pub(crate) wasi: Option<Box<Wasi>>,
    /// Only where it is granted, and while an event is handled.
    pub(crate) changes: Option<Box<Changes>>,
    /// Likewise: the hosts that it may ask.
    pub(crate) network: Option<NetworkPolicy>,
    /// Likewise: the answer to the source, once it gave one.
    pub(crate) replies: Option<Option<Box<Reply>>>,
    /// Requests that it made.
    pub(crate) requests: u32,
    /// The pointers that its version looked up before.
    pub(crate) selections: Option<Arc<Selections>>,
    pub(crate) body: Bytes,
    /// Bytes that it may hold, and so ask of the host.
    pub(crate) memory: u64,
    calls_left: u32,
    /// Bytes walked and copied since it gave way last.
    work: usize,
}

impl Guest {
    pub(crate) fn new(limits: &Limits, log: Arc<Log>, body: Bytes) -> Self {
        Self {
            meter: Meter::new(limits.memory),
            log,
            wasi: None,
            changes: None,
            network: None,
            replies: None,
            requests: 0,
            selections: None,
            body,
            memory: limits.memory,
            calls_left: HOST_CALLS,
            work: 0,
        }
    }

    /// Takes another event's share of the host; the memory that the guest holds is still its.
    pub(crate) fn renew(&mut self, next: Self) {
        let meter = self.meter.carry_on();
        *self = Self { meter, ..next };
    }

    /// Counts a call into the host that takes no time to speak of.
    pub(crate) fn count(&mut self) -> Result<()> {
        match self.calls_left.checked_sub(1) {
            Some(left) => self.calls_left = left,
            None => bail!(TooManyCalls),
        }
        self.work = self.work.saturating_add(CALL_WORK);
        Ok(())
    }

    /// Counts a call into the host that hands over so many bytes, and gives way where
    /// it is due: a guest without loops is never interrupted but here.
    pub(crate) async fn enter(&mut self, bytes: usize) -> Result<()> {
        self.count()?;
        self.charge(bytes).await;
        Ok(())
    }

    /// To be called before the host walks or copies that many bytes for the guest.
    pub(crate) async fn charge(&mut self, bytes: usize) {
        self.work = self.work.saturating_add(bytes);
        if self.work > INLINE_WORK {
            self.work = 0;
            give_way().await;
        }
    }
}

/// Tells the linker how the host's functions reach the store's data.
pub(crate) struct HasGuest;

impl HasData for HasGuest {
    type Data<'a> = &'a mut Guest;
}
