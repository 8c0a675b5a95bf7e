//! The empty world behind the WASI stubs that a standard library drags in: no files, no network, no environment, and clocks and randomness fixed to the event.
mod output;
mod random;
mod time;

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView};

use self::output::LogStream;
pub(crate) use self::random::Random;
use self::time::VirtualClock;
use crate::run::log::{Level, Log};

/// Handles that a call may hold at a time.
const HANDLES: usize = 1_000;

/// What one call sees of WASI.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
    random: Random,
    waits: VirtualClock,
}

impl Wasi {
    /// A world where it is `now_ms` and chance follows from `seed`. What the
    /// guest writes to its standard streams goes to the log.
    pub(crate) fn new(now_ms: u64, seed: (u64, u64), log: &Arc<Log>) -> Self {
        let ctx = WasiCtx::builder()
            .stdout(LogStream::new(log, Level::Info))
            .stderr(LogStream::new(log, Level::Error))
            .wall_clock(FixedClock(now_ms))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { ctx, table, random: Random::new(seed), waits: VirtualClock::default() }
    }

    pub(crate) fn view(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }

    pub(crate) fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

/// A clock that stands still at that many milliseconds.
struct FixedClock(u64);

impl HostWallClock for FixedClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0)
    }
}
