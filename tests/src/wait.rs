//! Waiting for a condition, with a deadline instead of a sleep.
use std::future::Future;
use std::time::Duration;

/// No wait ends sooner than this, however short it was thought to be: a deadline
/// ends a test that would hang, it measures nothing, and a machine with both
/// cores taken by something else takes its time.
const LEAST: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is there. Each question is to be one
/// read that answers the whole of it: what moves between two reads is in neither.
///
/// # Panics
/// After `deadline`, and 60 s at the least, naming what was waited for.
pub async fn eventually<T, F, W>(what: &str, deadline: Duration, mut ask: F) -> T
where
    F: FnMut() -> W,
    W: Future<Output = Option<T>>,
{
    let deadline = deadline.max(LEAST);
    let end = tokio::time::Instant::now() + deadline;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < end, "after {deadline:?} still not: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The work's result, unless it takes longer than `deadline`.
///
/// # Panics
/// After `deadline`, and 60 s at the least, naming what was waited for.
pub async fn within<T>(what: &str, deadline: Duration, work: impl Future<Output = T>) -> T {
    let deadline = deadline.max(LEAST);
    match tokio::time::timeout(deadline, work).await {
        Ok(done) => done,
        Err(_) => panic!("after {deadline:?} still not: {what}"),
    }
}
