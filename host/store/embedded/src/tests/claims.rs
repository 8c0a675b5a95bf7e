//! Claims through the store's face: they see what was handed in before, at a bounded cost.
use std::sync::atomic::Ordering;

use tokio::task::JoinSet;

use super::*;
use crate::face::Face;
use hookwright_store::{Claim, EventLog, WorkQueue};

/// A store whose rows are committed for whoever waits for them, and not by themselves.
fn unhurried(dir: &TempDir, handed: &Arc<Recorder>) -> Face {
    let mut options = Options::new(dir.path(), Clock::manual(START));
    options.hold = Duration::from_secs(60);
    Face::new(open_embedded(options, Arc::clone(handed) as Arc<dyn Handoff>).unwrap())
}

fn claim(of: &str) -> Claim<'_> {
    Claim { of, now_ms: START, after: None, limit: 100 }
}

impl Recorder {
    fn find(&self, id: EventId) -> Arc<Event> {
        let mut found = None;
        self.wait("event", |handed| {
            found = handed.accepted.iter().find(|event| event.id == id).cloned();
            found.is_some()
        });
        found.unwrap()
    }
}

/// "The healthy ones keep 95 % of their throughput and their p99": what many lanes
/// want of the store is done once for all of them.
#[tokio::test]
async fn regression_lanes_that_fail_together_share_their_flushes() {
    const LANES: u64 = 100;
    const ROUNDS: u64 = 5;
    let (dir, handed) = (TempDir::new().unwrap(), Arc::<Recorder>::default());
    let face = Arc::new(unhurried(&dir, &handed));
    for round in 1..=ROUNDS {
        let id = new_id(face.append(event("x")).await);
        let event = handed.find(id);
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (face, event) = (Arc::clone(&face), Arc::clone(&event));
            lanes.spawn(async move {
                let of = format!("lane-{lane}");
                let sent = vec![delivery(&event, &of)];
                face.routed(outcome(&event, EventState::Routed, sent)).unwrap();
                face.settled(settled(event.id, &of, 1, Next::Retry { due_ms: START })).unwrap();
                face.claim_deliveries(claim(&of)).await.unwrap().deliveries.len() as u64
            });
        }
        assert_eq!(lanes.join_all().await, [round; LANES as usize]);
    }
    let flushes = face.flushes.count.load(Ordering::SeqCst);
    assert!(flushes * 4 < LANES * ROUNDS, "{flushes} flushes");
}

/// A claim of deliveries waited where an outcome for any destination was unrecorded, and
/// a claim of events always.
#[tokio::test]
async fn regression_a_claim_waits_for_what_concerns_it_alone() {
    let (dir, handed) = (TempDir::new().unwrap(), Arc::<Recorder>::default());
    let face = unhurried(&dir, &handed);
    let flushes = || face.flushes.count.load(Ordering::SeqCst);
    let deliveries = async |of| face.claim_deliveries(claim(of)).await.unwrap().deliveries.len();
    let events = async |of| face.claim_events(claim(of)).await.unwrap().events.len();
    assert_eq!((events(SOURCE).await, deliveries("ci").await), (0, 0));
    assert_eq!(flushes(), 0, "nothing was handed in");

    let id = new_id(face.append(event("x")).await);
    let event = handed.find(id);
    assert_eq!((events("another").await, deliveries("ci").await, flushes()), (0, 0, 0));
    assert_eq!((events(SOURCE).await, flushes()), (1, 1));
    assert_eq!((events(SOURCE).await, flushes()), (1, 1), "its row is committed");

    let other = new_id(face.append(self::event("y")).await);
    let other = handed.find(other);
    let first = outcome(&other, EventState::Routed, vec![delivery(&other, "ci")]);
    face.routed(Routed { first: true, ..first }).unwrap();
    assert_eq!((events("another").await, deliveries("log").await, flushes()), (0, 0, 1));
    assert_eq!((deliveries("ci").await, flushes()), (1, 2));
    assert_eq!((events(SOURCE).await, deliveries("ci").await, flushes()), (1, 1, 2));

    let sent = vec![delivery(&event, "ci"), delivery(&event, "log")];
    face.routed(outcome(&event, EventState::Routed, sent)).unwrap();
    face.settled(settled(other.id, "ci", 1, Next::Delivered)).unwrap();
    assert_eq!((deliveries("ci").await, deliveries("log").await), (1, 1));
    assert_eq!(events(SOURCE).await, 0);
    let before = flushes();
    for of in ["ci", "log", "another"] {
        deliveries(of).await;
        events(of).await;
    }
    assert_eq!(face.rein_in(None, START, Duration::ZERO).await.unwrap(), 0);
    assert_eq!((events(SOURCE).await, flushes()), (0, before), "all of it is recorded");
}
