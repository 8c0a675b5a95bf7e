//! The empty world behind the WASI stubs that a standard library drags in: no files, no network, no environment, and clocks and randomness fixed to the event.
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::bindings::io::poll;
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{HostWallClock, WasiCtx, WasiCtxView, WasiView, async_trait};

use crate::run::host::Guest;
use crate::run::log::{Level, Log};
use crate::run::waits::Waits;

/// Random bytes in one call.
const RANDOM_BYTES: u64 = 1 << 20;
/// Handles that a call may hold at a time.
const HANDLES: usize = 1_000;
/// What a stream takes at once.
const CHUNK: usize = 4 << 10;

/// What one call sees of WASI.
pub(crate) struct Wasi {
    ctx: WasiCtx,
    pub(crate) table: ResourceTable,
    random: Random,
    pub(crate) waits: Waits,
}

impl Wasi {
    /// A world where it is `now_ms` and chance follows from `seed`. What the
    /// guest writes to its standard streams goes to the log.
    pub(crate) fn new(now_ms: u64, seed: (u64, u64), log: &Arc<Log>) -> Self {
        let ctx = WasiCtx::builder()
            .stdout(Lines::new(log, Level::Info))
            .stderr(Lines::new(log, Level::Error))
            .wall_clock(Still(now_ms))
            .allow_tcp(false)
            .allow_udp(false)
            .build();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self { ctx, table, random: Random::new(seed), waits: Waits::default() }
    }
}

/// Links the interfaces that the gate lets through.
pub(crate) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    // Over WASI's own, whose numbers differ from run to run.
    linker.allow_shadowing(true);
    random::add_to_linker::<Guest, HasRandom>(linker, of)?;
    insecure::add_to_linker::<Guest, HasRandom>(linker, of)?;
    insecure_seed::add_to_linker::<Guest, HasRandom>(linker, of)?;
    // Over WASI's own, whose waits take time and so tell it.
    monotonic_clock::add_to_linker::<Guest, HasWasi>(linker, wasi)?;
    poll::add_to_linker::<Guest, HasWasi>(linker, wasi)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn wasi(guest: &mut Guest) -> &mut Wasi {
    guest.wasi.as_mut().expect("whoever links WASI gives each guest its world")
}

fn of(guest: &mut Guest) -> &mut Random {
    &mut wasi(guest).random
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = wasi(self);
        WasiCtxView { ctx: &mut wasi.ctx, table: &mut wasi.table }
    }
}

/// A clock that stands still at that many milliseconds.
struct Still(u64);

impl HostWallClock for Still {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0)
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

/// SplitMix64 (Steele, Lea and Flood, 2014) from the event's id: no secret,
/// but the same in each replay.
struct Random(u64);

impl Random {
    fn new((high, low): (u64, u64)) -> Self {
        let mut mixed = Self(high);
        Self(mixed.next() ^ low)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > RANDOM_BYTES {
            wasmtime::bail!("asked for {count} random bytes at once; {RANDOM_BYTES} is the limit");
        }
        let count = usize::try_from(count)?;
        let mut out = Vec::with_capacity(count + 8);
        while out.len() < count {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(count);
        Ok(out)
    }
}

impl random::Host for Random {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure::Host for Random {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure_seed::Host for Random {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.next(), self.next()))
    }
}

/// Standard output or error, as log lines.
struct Lines {
    log: Arc<Log>,
    level: Level,
    /// A line that has not ended yet.
    partial: Vec<u8>,
}

impl Lines {
    fn new(log: &Arc<Log>, level: Level) -> Self {
        Self { log: log.clone(), level, partial: Vec::new() }
    }

    fn take(&mut self, bytes: &[u8]) {
        if self.log.is_full() {
            return self.last_words(bytes);
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.partial.len() > CHUNK {
                self.end_line();
            }
        }
    }

    /// Of what is not kept any more only the last error's line may still be told.
    fn last_words(&mut self, bytes: &[u8]) {
        if self.level != Level::Error {
            return;
        }
        let (lines, rest) = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => bytes.split_at(end + 1),
            None => (&[][..], bytes),
        };
        if !lines.is_empty() {
            match lines.rsplit(|byte| *byte == b'\n').find(|line| !is_noise(line)) {
                // The first of them may go on where a print before ended.
                Some(line) if std::ptr::eq(line.as_ptr(), lines.as_ptr()) => {
                    self.partial.extend_from_slice(line);
                }
                Some(line) => self.partial = line.to_vec(),
                None => {}
            }
            self.end_line();
        }
        self.partial.extend_from_slice(rest);
        if self.partial.len() > CHUNK {
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        if !is_noise(&self.partial) {
            self.log.write(self.level, &String::from_utf8_lossy(&self.partial));
        }
        self.partial.clear();
    }
}

/// What says nothing: empty lines, and what Rust adds to each panic, which would be
/// the last words otherwise.
fn is_noise(line: &[u8]) -> bool {
    line.trim_ascii().is_empty() || line.starts_with(b"note: run with `RUST_BACKTRACE")
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self::new(&self.log, self.level))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self::new(&self.log, self.level))
    }
}

#[async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // So it is agreed: no more than `check_write` allowed.
        if bytes.len() > CHUNK {
            return Err(StreamError::trap("a write of more bytes than the stream takes at once"));
        }
        self.log.print().map_err(StreamError::Trap)?;
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HOST_CALLS;

    #[test]
    fn chance_follows_from_the_seed() {
        let draw = |seed| Random::new(seed).bytes(20).unwrap();
        assert_eq!(draw((1, 2)), draw((1, 2)));
        assert_ne!(draw((1, 2)), draw((1, 3)));
        assert_ne!(draw((1, 2)), draw((2, 2)));
        assert!(Random::new((0, 0)).bytes(u64::MAX).is_err());
    }

    /// The fault: a print could hold millions of lines, and prints were not counted.
    #[test]
    fn regression_prints_are_bounded_in_bytes_and_number() {
        let log = Arc::new(Log::new("p".parse().unwrap(), None, 1_000));
        let (mut out, mut err) = (Lines::new(&log, Level::Info), Lines::new(&log, Level::Error));
        assert!(out.write(vec![b'\n'; CHUNK + 1].into()).is_err());
        for _ in 0..HOST_CALLS / 2 {
            out.write(vec![b'\n'; 10].into()).unwrap();
            err.write(Bytes::from_static(b"oh\n\n")).unwrap();
        }
        assert!(out.write(Bytes::from_static(b"x")).is_err());
        assert!(log.is_full());
        assert_eq!(log.take().1.as_deref(), Some("oh"));
    }

    #[test]
    fn the_last_words_are_told_though_the_log_is_full() {
        for (pieces, last) in [
            (&["one\ntwo\n"][..], "two"),
            (&["on", "e\n\n \n"], "one"),
            (&["one\ntw", "o", "\nnote: run with `RUST_BACKTRACE=1`\n"], "two"),
            (&["one\n", "two"], "one"),
        ] {
            let log = Arc::new(Log::new("p".parse().unwrap(), None, 10));
            log.write(Level::Info, "more than fits");
            let mut lines = Lines::new(&log, Level::Error);
            pieces.iter().for_each(|piece| lines.take(piece.as_bytes()));
            assert_eq!(log.take().1.as_deref(), Some(last), "{pieces:?}");
        }
    }

    #[test]
    fn what_is_printed_in_pieces_is_one_line() {
        let log = Arc::new(Log::new("p".parse().unwrap(), None, 1_000));
        let mut lines = Lines::new(&log, Level::Error);
        for piece in ["panicked ", "at 7:\nno", " room\n\n", "note: run with `RUST_BACKTRACE=1`\n"]
        {
            lines.take(piece.as_bytes());
        }
        drop(lines);
        let (kept, last) = log.take();
        assert_eq!(kept, ["error: panicked at 7:", "error: no room"]);
        assert_eq!(last.as_deref(), Some("no room"));
    }
}
