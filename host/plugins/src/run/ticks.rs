//! Ticks of an engine's epochs, by which guests give way: only while guests run, so that an idle host sleeps.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::Engine;

/// One epoch. A guest gives way after one to two of them.
const TICK: Duration = Duration::from_millis(1);
/// Ticks that continue after the last call, so that calls that follow each other wake nobody.
const LINGER: u32 = 50;

/// A thread that ticks while it is asked to, until this is dropped.
pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    /// Guests that run now.
    running: AtomicUsize,
    /// The thread is asleep until somebody wakes it, or is about to be.
    asleep: AtomicBool,
    over: AtomicBool,
}

/// Somebody runs a guest. Until it is dropped, epochs tick.
pub(crate) struct Running<'t>(&'t Ticker);

impl Ticker {
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let engine = engine.weak();
        Self::of(move || engine.upgrade().map(|engine| engine.increment_epoch()))
    }

    /// `tick` gives none once there is nothing left to tick.
    fn of(tick: impl FnMut() -> Option<()> + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = shared.clone();
        let thread = std::thread::Builder::new().name("plugin-ticks".into());
        let thread = thread.spawn(move || own.tick(tick))?.thread().clone();
        Ok(Self { shared, thread })
    }

    /// To be held while a guest runs: without ticks it would never give way.
    pub(crate) fn run(&self) -> Running<'_> {
        self.shared.running.fetch_add(1, Ordering::SeqCst);
        // Either this sees that it sleeps, or it sees the call before it does.
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.thread.unpark();
        }
        Running(self)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl Shared {
    fn tick(&self, mut tick: impl FnMut() -> Option<()>) {
        let mut idle = 0;
        while !self.over.load(Ordering::SeqCst) {
            idle = if self.is_idle() { idle + 1 } else { 0 };
            if idle > LINGER {
                self.sleep();
                idle = 0;
            }
            std::thread::park_timeout(TICK);
            if tick().is_none() {
                return;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.running.load(Ordering::SeqCst) == 0
    }

    fn sleep(&self) {
        self.asleep.store(true, Ordering::SeqCst);
        while self.is_idle() && !self.over.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(what: &str, holds: impl Fn() -> bool) {
        let start = std::time::Instant::now();
        while !holds() {
            assert!(start.elapsed() < Duration::from_secs(30), "never happened: {what}");
            std::thread::yield_now();
        }
    }

    /// The fault: an idle host was woken nine hundred times a second.
    #[test]
    fn regression_epochs_tick_while_a_guest_runs_and_not_otherwise() {
        let count = Arc::<AtomicUsize>::default();
        let counted = count.clone();
        let ticker = Ticker::of(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Some(())
        });
        let (ticker, ticks) = (ticker.unwrap(), || count.load(Ordering::SeqCst));
        for _ in 0..3 {
            wait_for("it sleeps", || ticker.shared.asleep.load(Ordering::SeqCst));
            let (before, running) = (ticks(), [ticker.run(), ticker.run()]);
            wait_for("it ticks", || ticks() > before + 5);
            let [one, other] = running;
            drop(one);
            let now = ticks();
            wait_for("one goes on", || ticks() > now + LINGER as usize);
            drop(other);
        }
        let shared = ticker.shared.clone();
        drop(ticker);
        wait_for("the thread ends", || Arc::strong_count(&shared) == 1);
    }
}
