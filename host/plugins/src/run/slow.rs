//! The lane for calls that outlive their first slice, so that a slow guest never holds a worker that serves others.
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use crate::limits::WALL_FACTOR;

/// A call in flight: it can be polled anywhere.
pub(crate) type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Below the other threads, so that events that behave come first.
const NICE: libc::c_int = 5;
/// Below those in turn.
const NICE_BACKGROUND: libc::c_int = 10;

/// A call that takes longer spoils its caller's thread for others, and so may the next one.
const HEAVY: Duration = Duration::from_millis(4);

/// Where a version's next call begins: in the lane, where the last one was
/// slow or was stopped at a limit. Not all that a guest does gives way in
/// between: to fill its memory is one instruction.
#[derive(Debug, Default)]
pub(crate) struct LaneHint(AtomicBool);

impl LaneHint {
    pub(crate) fn begins_in_lane(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// A call ended.
    pub(crate) fn note(&self, took: Duration, stopped: bool) {
        let heavy = stopped || took > HEAVY;
        if heavy != self.begins_in_lane() {
            self.0.store(heavy, Ordering::Relaxed);
        }
    }
}

/// Why the lane dropped a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Overrun {
    #[error("used its CPU time up")]
    Cpu,
    #[error("took too long by the clock")]
    Wall,
    #[error("panicked in the host")]
    Panic,
}

/// A few threads of their own. They end when the lane is dropped.
pub(crate) struct SlowLane(Option<Runtime>);

impl SlowLane {
    /// For calls that decide about events.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        Self::named("plugin-slow", threads, NICE)
    }

    /// For calls that decide nothing, and must not slow down those that do.
    pub(crate) fn background() -> std::io::Result<Self> {
        Self::named("plugin-aside", 1, NICE_BACKGROUND)
    }

    fn named(name: &str, threads: usize, nice: libc::c_int) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .max_blocking_threads(2)
            .thread_name(name)
            .on_thread_start(move || lower_priority(nice))
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    /// Runs the task to its end, or until it has used `cpu` or twenty times
    /// that by the clock. What was `used` before counts. A caller that goes
    /// away takes the task with it.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        cpu: Duration,
        used: Duration,
        task: Task<'static, T>,
    ) -> Result<T, Overrun> {
        let Some(runtime) = &self.0 else { return Err(Overrun::Panic) };
        let mut running = AbortOnDrop(runtime.spawn(metered(cpu, used, task)));
        (&mut running.0).await.unwrap_or(Err(Overrun::Panic))
    }
}

/// Runs a task within its bounds on the present thread; see [`SlowLane::run`].
pub(crate) async fn metered<T>(
    cpu: Duration,
    used: Duration,
    task: Task<'_, T>,
) -> Result<T, Overrun> {
    let wall = cpu.saturating_mul(WALL_FACTOR);
    let metered = Metered { task: Some(task), used, limit: cpu };
    let started = tokio::time::Instant::now();
    match tokio::time::timeout(wall, metered).await {
        // The timeout is looked at only where the call is not ready.
        Ok(Ok(_)) if started.elapsed() > wall => Err(Overrun::Wall),
        Ok(ended) => ended,
        Err(_) => Err(Overrun::Wall),
    }
}

/// Leaves the present thread once: a call that gives way continues in the slow lane.
pub(crate) async fn give_way() {
    let mut left = false;
    poll_fn(|cx| {
        if left {
            return Poll::Ready(());
        }
        left = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Drop for SlowLane {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts the CPU time of each slice and drops the task once it has had enough.
struct Metered<'a, T> {
    task: Option<Task<'a, T>>,
    used: Duration,
    limit: Duration,
}

impl<T> Future for Metered<'_, T> {
    type Output = Result<T, Overrun>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(task) = &mut self.task else { return Poll::Ready(Err(Overrun::Cpu)) };
        let before = thread_cpu();
        let polled = task.as_mut().poll(cx);
        self.used = self.used.saturating_add(thread_cpu().saturating_sub(before));
        // Not all that a call does gives way: one that is ready may be late, too.
        if self.used > self.limit {
            self.task = None;
            return Poll::Ready(Err(Overrun::Cpu));
        }
        polled.map(Ok)
    }
}

/// How long a reading of a thread's CPU time is good enough for [`thread_cpu_at`].
const FRESH: Duration = Duration::from_millis(1);

/// CPU time of the present thread at that time, which is now, to a millisecond: up to so much more than was used.
///
/// What a call begins with. To ask the kernel costs as much as a tenth of a small call, so it is asked once a millisecond
/// at most; in between the thread is taken to have run all the time.
pub(crate) fn thread_cpu_at(now: Instant) -> Duration {
    thread_local! {
        static READ: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
    }
    if let Some((at, used)) = READ.get() {
        let since = now.saturating_duration_since(at);
        if since < FRESH {
            return used + since;
        }
    }
    let used = thread_cpu();
    READ.set(Some((now, used)));
    used
}

/// CPU time of the present thread.
pub(crate) fn thread_cpu() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives through the call; the clock exists on every Unix we build for.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn lower_priority(nice: libc::c_int) {
    // On Linux who = 0 is the calling thread; elsewhere it is the process, which must not be slowed.
    #[cfg(not(target_os = "linux"))]
    let _ = nice;
    #[cfg(target_os = "linux")]
    // SAFETY: takes no pointers; a refusal leaves the priority as it was.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, nice);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spin(until: Duration) -> Task<'static, &'static str> {
        Box::pin(async move {
            let start = thread_cpu();
            while thread_cpu().saturating_sub(start) < until {
                // What a guest does in one tick; what lies between two of them is not counted.
                let slice = thread_cpu();
                while thread_cpu().saturating_sub(slice) < Duration::from_millis(1) {}
                tokio::task::yield_now().await;
            }
            "done"
        })
    }

    #[test]
    fn a_reading_between_two_is_no_less_than_what_was_used_and_a_millisecond_more_at_most() {
        for _ in 0..1_000 {
            let before = thread_cpu();
            let read = thread_cpu_at(Instant::now());
            assert!(before <= read && read <= thread_cpu() + FRESH, "{before:?} {read:?}");
        }
    }

    #[test]
    fn a_slow_call_or_one_that_was_stopped_sends_the_next_one_to_the_lane() {
        let hint = LaneHint::default();
        assert!(!hint.begins_in_lane());
        for (took, stopped, lane) in
            [(HEAVY * 2, false, true), (HEAVY, false, false), (HEAVY, true, true)]
        {
            hint.note(took, stopped);
            assert_eq!(hint.begins_in_lane(), lane, "{took:?} {stopped}");
        }
    }

    #[tokio::test]
    async fn a_spinner_is_stopped_by_its_cpu_time() {
        let lane = SlowLane::new(1).unwrap();
        let limit = Duration::from_millis(100);
        let endless = lane.run(limit, Duration::ZERO, spin(Duration::MAX)).await;
        // On a busy machine the lane's thread may get less than a twentieth of a processor.
        assert!(matches!(endless, Err(Overrun::Cpu | Overrun::Wall)), "{endless:?}");
        let endless = metered(limit, Duration::ZERO, spin(Duration::MAX)).await;
        assert_eq!(endless, Err(Overrun::Cpu));
        let short = spin(Duration::from_millis(1));
        assert_eq!(lane.run(Duration::from_secs(5), Duration::ZERO, short).await, Ok("done"));
    }

    /// The fault: the time was looked at only where a call gave way.
    #[tokio::test]
    async fn regression_a_call_that_ends_late_is_late() {
        let busy = || -> Task<'static, ()> {
            Box::pin(async {
                let start = thread_cpu();
                while thread_cpu().saturating_sub(start) < Duration::from_millis(20) {}
            })
        };
        let limit = |millis| metered(Duration::from_millis(millis), Duration::ZERO, busy());
        assert_eq!(limit(5).await, Err(Overrun::Cpu));
        assert_eq!(limit(5_000).await, Ok(()));
        let before = metered(Duration::from_secs(5), Duration::from_secs(5), busy()).await;
        assert_eq!(before, Err(Overrun::Cpu), "what was used before counts");
        // Holds its thread without using the processor.
        let (_open, nobody) = std::sync::mpsc::channel::<()>();
        let blocks: Task<'_, ()> = Box::pin(async move {
            assert!(nobody.recv_timeout(Duration::from_millis(300)).is_err());
        });
        let ended = metered(Duration::from_millis(10), Duration::ZERO, blocks).await;
        assert_eq!(ended, Err(Overrun::Wall));
    }

    #[tokio::test]
    async fn a_sleeper_is_stopped_by_the_clock() {
        let lane = SlowLane::new(1).unwrap();
        let asleep: Task<'static, ()> = Box::pin(std::future::pending());
        let ended = lane.run(Duration::from_millis(1), Duration::ZERO, asleep).await;
        assert_eq!(ended, Err(Overrun::Wall));
    }

    #[tokio::test]
    async fn a_panic_ends_only_its_own_call() {
        let lane = SlowLane::new(1).unwrap();
        let breaks: Task<'static, ()> = Box::pin(async { panic!("as the test wants") });
        let ended = lane.run(Duration::from_secs(1), Duration::ZERO, breaks).await;
        assert_eq!(ended, Err(Overrun::Panic));
        let short = spin(Duration::ZERO);
        assert_eq!(lane.run(Duration::from_secs(5), Duration::ZERO, short).await, Ok("done"));
    }
}
