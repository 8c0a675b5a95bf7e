//! What retention drops, and what it does not where the clock is wrong, with paused time.
use bytes::Bytes;
use http::HeaderMap;

use super::*;
use hookwright_model::{Delivery, Event, EventId, EventState};
use hookwright_store::{Appended, Handoff, NewEvent, Routed, Store};

const START_MS: u64 = 1_700_000_000_000;
const HOUR: Duration = Duration::from_secs(3_600);
const YEAR_MS: u64 = 365 * 24 * 3_600_000;

struct Nobody;

impl Handoff for Nobody {
    fn durable(&self, _: Vec<Arc<Event>>) {}
    fn ready(&self, _: Vec<Delivery>) {}
}

struct Bench {
    purges: Purges,
    store: Arc<dyn Store>,
    /// The store's threads are none of tokio's, so that its paused time is not theirs.
    store_clock: Clock,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// Three days are kept.
    fn new(clock: &Clock) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store_clock = Clock::manual(clock.now_ms());
        let options = hookwright_store_embedded::Options::new(dir.path(), store_clock.clone());
        let store = hookwright_store_embedded::open(options, Arc::new(Nobody)).unwrap();
        let settings = Retention { keep: 72 * HOUR, interval: HOUR };
        let (clock, kept) = (clock.clone(), store.clone());
        let purges = Purges {
            settings,
            queries: kept.clone(),
            maintenance: kept,
            clock,
            held: None,
            told: false,
        };
        Self { purges, store, store_clock, _dir: dir }
    }

    /// One that is finished.
    async fn event(&self) -> EventId {
        self.store_clock.set(self.purges.clock.now_ms());
        let headers = HeaderMap::new();
        let (source, kind, body) = ("shop".parse().unwrap(), "".into(), Bytes::new());
        let new = NewEvent { source, kind, headers, body, dedupe: None };
        let Appended::New(id) = self.store.append(new).await.unwrap() else { panic!("it is new") };
        let event = self.store.event(id).await.unwrap().unwrap().event;
        let routed = Routed {
            event,
            state: EventState::Dropped,
            reason: None,
            verdicts: Vec::new(),
            deliveries: Vec::new(),
            first: false,
            state_rows: Vec::new(),
            retry_ms: 0,
            tries: 1,
        };
        self.store.routed(routed).unwrap();
        self.store.recorded().await.unwrap();
        id
    }

    async fn kept(&mut self) -> Vec<EventId> {
        self.store_clock.set(self.purges.clock.now_ms());
        self.purges.purge().await;
        let nine = EventQuery { limit: 9, ..EventQuery::default() };
        let rows = self.store.events(&nine).await.unwrap();
        rows.iter().map(|row| row.id).collect()
    }
}

/// One purge while the clock said 2100, and everything was gone.
#[tokio::test(start_paused = true)]
async fn regression_a_clock_that_jumps_ahead_drops_nothing_for_a_day() {
    let clock = Clock::tokio(START_MS);
    let mut bench = Bench::new(&clock);
    let old = bench.event().await;
    tokio::time::advance(60 * HOUR).await;
    let young = bench.event().await;
    assert_eq!(bench.kept().await, [young, old]);
    clock.set(START_MS + 74 * YEAR_MS);
    let ahead = bench.event().await;
    assert_eq!(bench.kept().await, [ahead, young, old]);
    tokio::time::advance(20 * HOUR).await;
    assert_eq!(bench.kept().await, [ahead, young], "time passes as before");
    tokio::time::advance(5 * HOUR).await;
    assert_eq!(bench.kept().await, [ahead], "a jump that holds is believed");
    clock.set(START_MS + YEAR_MS);
    let right = bench.event().await;
    assert_eq!(bench.kept().await, [right, ahead]);
    tokio::time::advance(80 * HOUR).await;
    bench.event().await;
    assert_eq!(bench.kept().await.len(), 1, "nothing is kept for good");
}

/// The same where the host is started while the clock is wrong: events that come
/// then do not give away those from before.
#[tokio::test(start_paused = true)]
async fn regression_a_start_with_a_clock_that_is_ahead_drops_nothing_for_a_day() {
    let clock = Clock::manual(START_MS);
    let mut bench = Bench::new(&clock);
    let old = bench.event().await;
    clock.set(START_MS + 74 * YEAR_MS);
    assert_eq!(bench.kept().await, [old]);
    let ahead = bench.event().await;
    assert_eq!(bench.kept().await, [ahead, old]);
    tokio::time::advance(23 * HOUR).await;
    assert_eq!(bench.kept().await, [ahead, old]);
    tokio::time::advance(2 * HOUR).await;
    assert_eq!(bench.kept().await, [ahead]);
}

/// A host to which nothing came for long is emptied all the same, a day later.
#[tokio::test(start_paused = true)]
async fn an_idle_host_is_emptied_a_day_later() {
    let clock = Clock::manual(START_MS);
    let mut bench = Bench::new(&clock);
    let old = bench.event().await;
    clock.set(START_MS + 100 * 24 * 3_600_000);
    assert_eq!(bench.kept().await, [old]);
    tokio::time::advance(25 * HOUR).await;
    assert_eq!(bench.kept().await, []);
}
