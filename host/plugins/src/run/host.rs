//! What a guest may call: its event's body and the log.
use std::sync::Arc;

use bytes::Bytes;
use wasmtime::component::{HasData, Resource};
use wasmtime::{Result, bail};

use crate::limits::{HOST_CALLS, Meter, POINTERS, STATE_VALUE};
use crate::run::bindings::hookwright::plugin::types::{Body, HostBody};
use crate::run::bindings::hookwright::plugin::{kv, log, types};
use crate::run::http::Reach;
use crate::run::kv::{Changes, Refused};
use crate::run::log::{Level, Log};
use crate::run::slow::give_way;
use crate::run::wasi::Wasi;
use hookwright_model::Reply;
use hookwright_model::plugin::Limits;
use hookwright_model::pointer::{self, Search, Unfit, Wanted};

/// Bytes that the host walks or copies for a guest before it gives way, so that the
/// time is looked at: some 2 ms. Guests that only call need not look themselves.
const INLINE_WORK: usize = 1 << 20;
/// What a call into the host costs beside that, in bytes walked.
const CALL_WORK: usize = 1 << 10;
/// Bytes that a search walks at a time.
const STEP: usize = 256 << 10;

/// Stops a guest that calls the host without end.
#[derive(Debug, thiserror::Error)]
#[error("more than {HOST_CALLS} calls into the host")]
pub(crate) struct TooManyCalls;

/// Stops a guest that asks the host for more than it may hold itself.
#[derive(Debug, thiserror::Error)]
#[error("asked for more of the body than its memory holds")]
pub(crate) struct TooMuchText;

/// A store's data: one call's share of the host.
pub(crate) struct Guest {
    pub(crate) meter: Meter,
    pub(crate) log: Arc<Log>,
    /// Only where the component imports WASI.
    pub(crate) wasi: Option<Box<Wasi>>,
    /// Only where it is granted, and while an event is handled.
    pub(crate) changes: Option<Box<Changes>>,
    /// Likewise: the hosts that it may ask.
    pub(crate) reach: Option<Reach>,
    /// Likewise: the answer to the source, once it gave one.
    pub(crate) replies: Option<Option<Box<Reply>>>,
    /// Requests that it made.
    pub(crate) requests: u32,
    body: Bytes,
    memory: u64,
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
            reach: None,
            replies: None,
            requests: 0,
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
    async fn charge(&mut self, bytes: usize) {
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

impl types::Host for Guest {}

impl HostBody for Guest {
    fn size(&mut self, _body: Resource<Body>) -> Result<u64> {
        self.count()?;
        Ok(self.body.len() as u64)
    }

    async fn read(&mut self, _body: Resource<Body>) -> Result<Vec<u8>> {
        if self.body.len() as u64 > self.memory {
            bail!(TooMuchText);
        }
        self.enter(self.body.len()).await?;
        Ok(self.body.to_vec())
    }

    async fn select(
        &mut self,
        _body: Resource<Body>,
        pointers: Vec<String>,
    ) -> Result<Vec<Option<String>>> {
        self.enter(0).await?;
        if pointers.len() > POINTERS {
            bail!("`select` takes at most {POINTERS} pointers, not {}", pointers.len());
        }
        // One that is malformed leads nowhere; that of one that is too long nobody knows.
        let too_long = |why: &Unfit| *why != Unfit::Malformed;
        if let Some(why) =
            pointers.iter().find_map(|one| pointer::check(one).err().filter(too_long))
        {
            bail!("`select` can't look up a pointer: {why}");
        }
        let (body, wanted) = (self.body.clone(), Wanted::new(&pointers));
        if !wanted.is_empty() {
            self.charge(body.len()).await;
        }
        let mut search = Search::new(&body, &wanted);
        while !search.go(STEP) {
            self.charge(STEP).await;
        }
        let found = search.found();
        let bytes: u64 = found.iter().flatten().map(|text| text.len() as u64).sum();
        if bytes > self.memory {
            bail!(TooMuchText);
        }
        let mut texts = Vec::with_capacity(found.len());
        for text in found {
            self.charge(text.map_or(0, str::len)).await;
            texts.push(text.map(str::to_owned));
        }
        Ok(texts)
    }

    fn drop(&mut self, _body: Resource<Body>) -> Result<()> {
        Ok(())
    }
}

impl log::Host for Guest {
    async fn log(&mut self, level: log::Level, message: String) -> Result<()> {
        self.enter(message.len()).await?;
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
    async fn state(&mut self, bytes: usize) -> Result<&mut Changes> {
        self.enter(bytes).await?;
        match &mut self.changes {
            Some(changes) => Ok(changes),
            None => bail!("`kv` is there while an event is handled, not in `describe` or `init`"),
        }
    }
}

impl kv::Host for Guest {
    async fn get(&mut self, key: String) -> Result<Option<Vec<u8>>> {
        Ok(self.state(key.len() + STATE_VALUE).await?.get(&key).map(Vec::from))
    }

    async fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Result<Result<(), kv::Error>> {
        let state = self.state(key.len() + value.len()).await?;
        Ok(state.set(&key, value.into(), ttl_ms).map_err(refused))
    }

    async fn delete(&mut self, key: String) -> Result<Result<(), kv::Error>> {
        Ok(self.state(key.len()).await?.delete(&key).map_err(refused))
    }

    async fn increment(
        &mut self,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Result<Result<i64, kv::Error>> {
        Ok(self.state(key.len()).await?.increment(&key, by, ttl_ms).map_err(refused))
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
