//! Time and randomness, replaceable in tests.
mod belief;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use belief::Belief;

/// Wall-clock time. Cheap to clone; clones share what is known of jumps.
#[derive(Clone)]
pub struct Clock {
    source: Source,
    belief: Arc<Mutex<Option<Belief>>>,
}

#[derive(Clone)]
enum Source {
    System,
    Tokio { start_ms: u64, start: tokio::time::Instant, ahead_ms: Arc<AtomicU64> },
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::new(Source::System)
    }

    /// Follows tokio's clock from `start_ms` on, so that a test with paused time moves it.
    pub fn tokio(start_ms: u64) -> Self {
        let start = tokio::time::Instant::now();
        Self::new(Source::Tokio { start_ms, start, ahead_ms: Arc::default() })
    }

    /// Stands still until `set`.
    pub fn manual(now_ms: u64) -> Self {
        Self::new(Source::Manual(Arc::new(AtomicU64::new(now_ms))))
    }

    fn new(source: Source) -> Self {
        let clock = Self { source, belief: Arc::default() };
        // What it says at the start is believed.
        clock.sure_ms();
        clock
    }

    /// Moves a manual clock, as if the time had passed; one that follows
    /// tokio's jumps, as if somebody had set it. The system's does not listen.
    pub fn set(&self, now_ms: u64) {
        match &self.source {
            Source::System => {}
            Source::Tokio { ahead_ms, .. } => {
                ahead_ms.fetch_add(now_ms.wrapping_sub(self.now_ms()), Ordering::SeqCst);
            }
            Source::Manual(now) => now.store(now_ms, Ordering::SeqCst),
        }
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        match &self.source {
            Source::System => {
                millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
            }
            Source::Tokio { ahead_ms, .. } => {
                self.steady_ms().wrapping_add(ahead_ms.load(Ordering::SeqCst))
            }
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// The time for what can't be taken back (dropping what is old, giving up
    /// for its age), milliseconds since 1970: the clock's, but one that has
    /// jumped ahead by more than an hour is not believed for a day. Never later
    /// than `now_ms`.
    pub fn sure_ms(&self) -> u64 {
        let (now_ms, steady_ms) = (self.now_ms(), self.steady_ms());
        let mut belief = self.belief.lock();
        belief.get_or_insert_with(|| Belief::new(now_ms, steady_ms)).look(now_ms, steady_ms)
    }

    /// Milliseconds from some moment on that nobody can set.
    fn steady_ms(&self) -> u64 {
        match &self.source {
            Source::System => millis(since_boot()),
            Source::Tokio { start_ms, start, .. } => {
                start_ms.saturating_add(millis(start.elapsed()))
            }
            Source::Manual(now) => now.load(Ordering::SeqCst),
        }
    }

    /// How long until `due_ms`; zero once it is past.
    pub fn until(&self, due_ms: u64) -> Duration {
        Duration::from_millis(due_ms.saturating_sub(self.now_ms()))
    }
}

/// How long the machine has been up, its sleep counted: `Instant` leaves that
/// out, and a machine that wakes would look like one whose clock was set.
#[expect(unsafe_code, reason = "std has no clock that counts sleep")]
fn since_boot() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one `timespec`, which is ours.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    let part = |number: i64| u64::try_from(number).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

/// A duration in whole milliseconds, saturated.
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A random number from the system, for what must not be guessed or must not repeat.
///
/// # Panics
/// Where the system has no randomness: nothing can be signed or named then.
pub fn random_u64() -> u64 {
    getrandom::u64().expect("the system's random source answers")
}

/// A number in `[0, 1)`, for spreading things out: not for what must not be
/// guessed. Asked for at every attempt, so it costs no call of the system.
pub fn random_unit() -> f64 {
    // A hasher's keys are random in each thread and others at each call.
    let bits = RandomState::new().hash_one(());
    // 53 bits: what a double holds exactly.
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
