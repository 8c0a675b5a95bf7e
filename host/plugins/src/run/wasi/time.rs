//! The monotonic clock of a guest, and its waits: time passes for it only as it waits, and no wait takes any.
//!
//! So a guest that sleeps continues at once, and nothing of the host (how long a call
//! takes, what others do) can be told from its clock: a replay sees the same one.
use std::collections::HashMap;

use wasmtime::component::Resource;
use wasmtime::{Result, bail};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::Wasi;
use crate::run::slow::give_way;

/// Nanoseconds that the clock claims to tell apart.
const RESOLUTION: u64 = 1_000_000;
/// Handles of one poll, looked at before it gives way.
const AT_ONCE: usize = 10_000;

/// A guest's time, in nanoseconds since its event began.
#[derive(Default)]
pub(super) struct VirtualClock {
    now: u64,
    /// When the handles of timers are due. All other handles are always ready:
    /// behind them is nothing that anybody waits for.
    due: HashMap<u32, u64>,
}

/// What a timer's handle stands for in the table of handles.
struct Timer;

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {}
}

impl Wasi {
    fn timer(&mut self, due: u64) -> Result<Resource<DynPollable>> {
        let timer = self.table.push(Timer)?;
        let handle = subscribe(&mut self.table, timer)?;
        self.waits.due.insert(handle.rep(), due);
        Ok(handle)
    }

    fn due(&self, handle: &Resource<DynPollable>) -> Result<u64> {
        self.table.get(handle)?;
        Ok(self.waits.due.get(&handle.rep()).copied().unwrap_or_default())
    }
}

impl monotonic_clock::Host for Wasi {
    fn now(&mut self) -> Result<u64> {
        Ok(self.waits.now)
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(RESOLUTION)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.timer(when)
    }

    fn subscribe_duration(&mut self, wait: u64) -> Result<Resource<DynPollable>> {
        self.timer(self.waits.now.saturating_add(wait))
    }
}

impl poll::Host for Wasi {
    /// Those that are ready; where there are none, once the first of them is due.
    async fn poll(&mut self, handles: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if handles.len() > AT_ONCE {
            give_way().await;
        }
        let due = handles.iter().map(|handle| self.due(handle)).collect::<Result<Vec<u64>>>()?;
        let Some(first) = due.iter().min() else { bail!("a poll of nothing would never end") };
        self.waits.now = self.waits.now.max(*first);
        let ready = (0..).zip(due).filter(|(_, due)| *due <= self.waits.now);
        Ok(ready.map(|(place, _)| place).collect())
    }
}

impl poll::HostPollable for Wasi {
    async fn ready(&mut self, handle: Resource<DynPollable>) -> Result<bool> {
        Ok(self.due(&handle)? <= self.waits.now)
    }

    async fn block(&mut self, handle: Resource<DynPollable>) -> Result<()> {
        self.waits.now = self.waits.now.max(self.due(&handle)?);
        Ok(())
    }

    fn drop(&mut self, handle: Resource<DynPollable>) -> Result<()> {
        self.waits.due.remove(&handle.rep());
        poll::HostPollable::drop(&mut self.table, handle)
    }
}
