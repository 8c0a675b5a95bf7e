//! What a host does while nothing comes: next to nothing.
use std::time::{Duration, Instant};

use hookwright_tests::{HostBuilder, Receiver, eventually};

/// How often a process's threads gave the processor up since they began.
fn wakes(pid: u32) -> Option<u64> {
    let mut sum = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        // A thread may end meanwhile.
        let status = std::fs::read_to_string(task.ok()?.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum += line.map_or(Some(0), |count| count.trim().parse().ok())?;
    }
    Some(sum)
}

/// The fault: epochs ticked always, so that a host without a plugin was woken 892 times a second.
#[tokio::test(flavor = "multi_thread")]
async fn regression_an_idle_host_sleeps() {
    const WINDOW: Duration = Duration::from_secs(2);
    const MOST: u64 = 60;
    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\n\
         destinations = [\"sink\"]\n[plugins.filter]\n\
         config = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    );
    let host = HostBuilder::new(&settings).plugin("filter").start().await;
    let posted = host.client.post(host.ingress(), "/in/shop", &[], "{}").await.expect("an answer");
    assert_eq!(posted.status, 202);
    host.settled(Duration::from_secs(30)).await;
    // One quiet window is proof: what ticks, ticks in all of them.
    let mut seen = Vec::new();
    let quiet = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let (before, start) = (wakes(host.pid()).expect("a process"), Instant::now());
            tokio::time::sleep(WINDOW).await;
            let woken = wakes(host.pid()).expect("a process").saturating_sub(before);
            let a_second = woken * 1_000 / start.elapsed().as_millis() as u64;
            seen.push(a_second);
            if a_second < MOST {
                return;
            }
        }
    });
    assert!(quiet.await.is_ok(), "woken so many times a second: {seen:?}");
    eprintln!("woken so many times a second: {seen:?}");
    // It still works.
    let posted = host.client.post(host.ingress(), "/in/shop", &[], "{}").await.expect("an answer");
    assert_eq!(posted.status, 202);
    eventually("both are delivered", Duration::from_secs(30), || async {
        (sink.count() == 2).then_some(())
    })
    .await;
}
