//! Claims through the store's face: they see what was handed in before, at a bounded cost.
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::*;
use crate::face::Face;
use hookwright_store::{Claim, WorkQueue};

/// "The healthy ones keep 95 % of their throughput and their p99": what many lanes
/// want of the store is done once for all of them.
#[tokio::test]
async fn regression_lanes_that_fail_together_share_their_flushes() {
    const LANES: u64 = 100;
    const ROUNDS: u64 = 5;
    let dir = TempDir::new().unwrap();
    let options = Options::new(dir.path(), Clock::manual(START));
    let engine = open_embedded(options, Arc::new(Recorder::default())).unwrap();
    let face = Arc::new(Face::new(engine));
    for _ in 0..ROUNDS {
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let face = Arc::clone(&face);
            lanes.spawn(async move {
                face.recorded.handed_in();
                let of = format!("lane-{lane}");
                let claim = Claim { of: &of, now_ms: START, after: None, limit: 10 };
                face.claim_deliveries(claim).await.unwrap().deliveries.len()
            });
        }
        assert_eq!(lanes.join_all().await.iter().sum::<usize>(), 0);
    }
    let flushes = face.recorded.flushes.load(Ordering::SeqCst);
    assert!(flushes >= ROUNDS, "each round flushes: {flushes}");
    assert!(flushes * 4 < LANES * ROUNDS, "{flushes} flushes");
    let claim = Claim { of: "lane-1", now_ms: START, after: None, limit: 10 };
    face.claim_deliveries(claim).await.unwrap();
    let idle = face.recorded.flushes.load(Ordering::SeqCst);
    assert_eq!(idle, flushes, "nothing was handed in, so there is nothing to wait for");
}
