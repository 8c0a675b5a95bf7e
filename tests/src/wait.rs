//! Waiting for a condition, with a deadline instead of a sleep.
use std::future::Future;
use std::time::Duration;

/// Asks again and again until the answer is there.
///
/// # Panics
/// After `deadline`, naming what was waited for.
pub async fn eventually<T, F, W>(what: &str, deadline: Duration, mut ask: F) -> T
where
    F: FnMut() -> W,
    W: Future<Output = Option<T>>,
{
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
/// After `deadline`, naming what was waited for.
pub async fn within<T>(what: &str, deadline: Duration, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(deadline, work).await {
        Ok(done) => done,
        Err(_) => panic!("after {deadline:?} still not: {what}"),
    }
}
