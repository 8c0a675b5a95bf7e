//! What a guest may call: its event's body and the log.
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Resource};
use wasmtime::{Result, bail};

use super::bindings::hookwright::plugin::types::{Body, HostBody};
use super::bindings::hookwright::plugin::{kv, log, types};
use super::http::Reach;
use super::kv::{Changes, Refused};
use super::limits::{HOST_CALLS, Limits, Meter, POINTERS};
use super::log::{Level, Log};
use super::slow::give_way;
use super::wasi::Wasi;
use crate::model::{Reply, pointer};

/// Bytes that a host call may walk or copy before it gives way: some 5 ms.
const INLINE_WORK: usize = 1 << 20;

/// Stops a guest that calls the host without end.
#[derive(Debug, thiserror::Error)]
#[error("more than {HOST_CALLS} calls into the host")]
pub(super) struct TooManyCalls;

/// Stops a guest that asks the host for more than it may hold itself.
#[derive(Debug, thiserror::Error)]
#[error("asked for more of the body than its memory holds")]
pub(super) struct TooMuchText;

/// A store's data: one call's share of the host.
pub(super) struct Guest {
    pub(super) meter: Meter,
    pub(super) log: Arc<Log>,
    /// Only where the component imports WASI.
    pub(super) wasi: Option<Box<Wasi>>,
    /// Only where it is granted, and while an event is handled.
    pub(super) changes: Option<Box<Changes>>,
    /// Likewise: the hosts that it may ask.
    pub(super) reach: Option<Reach>,
    /// Likewise: the answer to the source, once it gave one.
    pub(super) replies: Option<Option<Box<Reply>>>,
    /// Requests that it made.
    pub(super) requests: u32,
    body: Bytes,
    memory: u64,
    calls_left: u32,
}

impl Guest {
    pub(super) fn new(limits: &Limits, log: Arc<Log>, body: Bytes) -> Self {
        Self {
            meter: Meter::new(limits.memory),
            log,
            wasi: None,
            changes: None,
            reach: None,
            replies: None,
            requests: 0,
            body,
            memory: limits.memory,
            calls_left: HOST_CALLS,
        }
    }

    /// Takes another event's share of the host; the memory that the guest holds is still its.
    pub(super) fn renew(&mut self, next: Self) {
        let meter = self.meter.carry_on();
        *self = Self { meter, ..next };
    }

    pub(super) fn count(&mut self) -> Result<()> {
        match self.calls_left.checked_sub(1) {
            Some(left) => self.calls_left = left,
            None => bail!(TooManyCalls),
        }
        Ok(())
    }
}

/// Tells the linker how the host's functions reach the store's data.
pub(super) struct HasGuest;

impl HasData for HasGuest {
    type Data<'a> = &'a mut Guest;
}

impl types::Host for Guest {}

impl HostBody for Guest {
    fn size(&mut self, _body: Resource<Body>) -> Result<u64> {
        self.count()?;
        Ok(self.body.len() as u64)
    }

    async fn read(&mut self, _body: Resource<Body>) -> Result<Vec<u8>> {
        self.count()?;
        if self.body.len() as u64 > self.memory {
            bail!(TooMuchText);
        }
        if self.body.len() > INLINE_WORK {
            give_way().await;
        }
        Ok(self.body.to_vec())
    }

    async fn select(
        &mut self,
        _body: Resource<Body>,
        pointers: Vec<String>,
    ) -> Result<Vec<Option<String>>> {
        self.count()?;
        if pointers.len() > POINTERS {
            bail!("`select` takes at most {POINTERS} pointers, not {}", pointers.len());
        }
        if self.body.len().saturating_mul(pointers.len()) > INLINE_WORK {
            give_way().await;
        }
        let found = pointer::select(&self.body, &pointers);
        let bytes: u64 = found.iter().flatten().map(|text| text.len() as u64).sum();
        if bytes > self.memory {
            bail!(TooMuchText);
        }
        Ok(found.into_iter().map(|text| text.map(str::to_owned)).collect())
    }

    fn drop(&mut self, _body: Resource<Body>) -> Result<()> {
        Ok(())
    }
}

impl log::Host for Guest {
    fn log(&mut self, level: log::Level, message: String) -> Result<()> {
        self.count()?;
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.write(level, &message);
        Ok(())
    }
}

impl Guest {
    fn state(&mut self) -> Result<&mut Changes> {
        self.count()?;
        match &mut self.changes {
            Some(changes) => Ok(changes),
            None => bail!("`kv` is there while an event is handled, not in `describe` or `init`"),
        }
    }
}

impl kv::Host for Guest {
    fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        Ok(self.state()?.get(&key).map(Vec::from))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Result<Result<(), kv::Error>> {
        Ok(self.state()?.set(&key, value.into(), ttl_ms).map_err(refused))
    }

    fn delete(&mut self, key: String) -> Result<Result<(), kv::Error>> {
        Ok(self.state()?.delete(&key).map_err(refused))
    }

    fn increment(
        &mut self,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<Result<i64, kv::Error>> {
        Ok(self.state()?.increment(&key, by, ttl_ms).map_err(refused))
    }
}

fn refused(why: Refused) -> kv::Error {
    match why {
        Refused::Key => kv::Error::BadKey,
        Refused::Value => kv::Error::TooLarge,
        Refused::Full => kv::Error::Full,
        Refused::NoNumber => kv::Error::NoNumber,
    }
}
