//! Tests of routing as a whole: a real store, real components, and time that is moved.
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::*;
use hookwright_model::clock::Clock;
use hookwright_model::plugin::OnFailure;
use hookwright_model::replies::Replies;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Decision, Delivery, Event, EventId, EventState, Name, Order};
use hookwright_plugins::{Compiler, Options, Plugins, Spec, State};
use hookwright_store::{Appended, Claim, EventDetail, Handoff, NewEvent, Store};

const START: u64 = 1_700_000_000_000;

#[derive(Default)]
struct ToRouter(OnceLock<Router>);

impl Handoff for ToRouter {
    fn durable(&self, events: Vec<Arc<Event>>) {
        if let Some(router) = self.0.get() {
            router.accepted(events);
        }
    }
    fn ready(&self, _deliveries: Vec<Delivery>) {}
    fn wake(&self) {
        if let Some(router) = self.0.get() {
            router.wake();
        }
    }
}

/// One source with one plugin, whose settings say what a failure means.
struct Bench {
    store: Arc<dyn Store>,
    tasks: Tasks,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn new(guest: &str, on_failure: OnFailure) -> Self {
        Self::on(tempfile::tempdir().unwrap(), guest, on_failure).await
    }

    async fn on(dir: tempfile::TempDir, guest: &str, on_failure: OnFailure) -> Self {
        Self::ordered(dir, guest, on_failure, Orders::default()).await
    }

    async fn ordered(
        dir: tempfile::TempDir,
        guest: &str,
        on_failure: OnFailure,
        orders: Orders,
    ) -> Self {
        let wasm = hookwright_testkit::guest::component(guest);
        std::fs::write(dir.path().join("p.wasm"), wasm).unwrap();
        let name: Name = "p".parse().unwrap();
        let handoff = Arc::new(ToRouter::default());
        // The store's threads know nothing of the time that the test moves.
        let mut stored =
            hookwright_store_embedded::Options::new(dir.path().join("data"), Clock::manual(START));
        stored.read_spacing = Duration::ZERO;
        let store = hookwright_store_embedded::open(stored, handoff.clone()).unwrap();
        let mut options =
            Options::new(dir.path().into(), dir.path().join("cache"), Compiler::InProcess);
        options.state = State::new(Clock::manual(START), store.state().await.unwrap());
        let spec = Spec { grants: vec!["kv".into()], ..Spec::new(name.clone()) };
        let plugins = Plugins::open(options, vec![spec]).unwrap();
        plugins.load_all().await.remove(0).result.unwrap();
        let steps = vec![Step { plugin: name, on_failure }];
        let pipeline = Pipeline::new(steps, vec!["sink".parse().unwrap()], Arc::default());
        let pipeline = pipeline.ordered(Arc::new(orders));
        let (tasks, clock) = (Tasks::new(), Clock::tokio(START));
        let pipelines = Pipelines::from([("shop".parse().unwrap(), pipeline)]);
        let router = Router::start(
            pipelines,
            plugins,
            store.clone(),
            Replies::default(),
            clock,
            None,
            tasks.clone(),
        );
        let _ = handoff.0.set(router);
        Self { store, tasks, dir }
    }

    /// Sends an event and waits until its routing has ended, by steps of time.
    async fn routed(&self, step: Duration) -> EventDetail {
        self.routed_kind("", step).await
    }

    async fn routed_kind(&self, kind: &str, step: Duration) -> EventDetail {
        let id = self.accept(kind).await;
        for _ in 0..1_000 {
            tokio::time::sleep(step).await;
            let found = self.find(id).await;
            if found.row.state != EventState::Accepted {
                return found;
            }
        }
        panic!("it was never routed");
    }

    async fn find(&self, id: EventId) -> EventDetail {
        self.store.event(id).await.unwrap().expect("an event that was accepted")
    }

    async fn accept(&self, kind: &str) -> EventId {
        let event = NewEvent {
            source: "shop".parse().unwrap(),
            kind: kind.into(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            dedupe: None,
        };
        // On a thread that waits: time stands still meanwhile.
        let (appended, runtime) = (self.store.append(event), tokio::runtime::Handle::current());
        let appended = tokio::task::spawn_blocking(move || runtime.block_on(appended)).await;
        let Appended::New(id) = appended.unwrap().unwrap() else { panic!("it is new") };
        id
    }

    /// Leaves what a start on the same folder finds.
    async fn stop(self) -> tempfile::TempDir {
        self.tasks.drain(Duration::from_secs(5)).await;
        self.store.close().await.unwrap();
        self.dir
    }
}

macro_rules! guest {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/", $path))
    };
}

/// "`retry` from a plugin is bounded."
#[tokio::test(start_paused = true)]
async fn a_plugin_that_asks_for_ever_for_another_try_gets_eight() {
    for (on_failure, state) in [
        (OnFailure::Park, EventState::Parked),
        (OnFailure::DeadLetter, EventState::Dead),
        (OnFailure::Skip, EventState::Routed),
    ] {
        let bench = Bench::new(guest!("guests/retry.wat"), on_failure).await;
        let started = tokio::time::Instant::now();
        let found = bench.routed(Duration::from_secs(1)).await;
        assert_eq!(found.row.state, state);
        assert!(matches!(&found.verdicts[0].decision, Decision::Retry(reason) if reason == "T"));
        // 1 + 2 + … + 64 s between eight tries.
        assert!(started.elapsed() >= Duration::from_secs(127), "{:?}", started.elapsed());
        if on_failure != OnFailure::Skip {
            assert_eq!(found.row.reason.as_deref(), Some("p: asks for another try: T"));
        }
        bench.stop().await;
    }
}

/// "The order must be that of acceptance": one whose plugin asks for another try is not overtaken.
#[tokio::test(start_paused = true)]
async fn where_a_destination_wants_an_order_events_are_routed_one_after_the_other() {
    let orders = Orders::from([("sink".parse().unwrap(), Order::Source)]);
    let dir = tempfile::tempdir().unwrap();
    let guest = guest!("guests/retry.wat");
    let bench = Bench::ordered(dir, guest, OnFailure::Skip, orders).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(bench.accept("").await);
    }
    // 127 s of tries each: no two of them end in the same second.
    for place in 0..ids.len() {
        while bench.find(ids[place]).await.row.state == EventState::Accepted {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for later in &ids[place + 1..] {
            assert_eq!(bench.find(*later).await.row.state, EventState::Accepted);
        }
    }
    let sink = bench.store.backlog().await.unwrap().remove(0);
    assert_eq!((sink.destination.as_str(), sink.waiting), ("sink", 3));
    let claim = Claim { of: "sink", now_ms: u64::MAX >> 1, after: None, limit: 10 };
    let due = bench.store.claim_deliveries(claim).await.unwrap().deliveries;
    assert_eq!(due.iter().map(|one| one.event.id).collect::<Vec<_>>(), ids[..1]);
    assert_eq!(due[0].order_key.as_deref(), Some("shop"));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn while_a_plugin_is_quarantined_its_on_failure_decides() {
    for (on_failure, state) in [
        (OnFailure::Park, EventState::Parked),
        (OnFailure::DeadLetter, EventState::Dead),
        (OnFailure::Skip, EventState::Routed),
    ] {
        let bench = Bench::new(guest!("hostile/trap.wat"), on_failure).await;
        let mut quarantined = 0;
        for number in 0..30 {
            let found = bench.routed(Duration::from_millis(1)).await;
            assert_eq!(found.row.state, state);
            let Decision::Fail(why) = &found.verdicts[0].decision else { panic!("it failed") };
            let left_alone = why.starts_with("is quarantined: ");
            assert!(left_alone || why.starts_with("trapped: "), "{why}");
            assert!(number >= 20 || !left_alone, "after {number}");
            quarantined += usize::from(left_alone);
        }
        assert!(quarantined > 0, "some were left alone, between the probes");
        bench.stop().await;
    }
}

/// "Durable counters and values per plugin, atomic with the verdict": kept with the outcome,
/// dropped when the call fails.
#[tokio::test(start_paused = true)]
async fn a_plugins_counts_are_kept_with_the_outcome_and_not_without() {
    let step = Duration::from_millis(1);
    let mut dir = tempfile::tempdir().unwrap();
    for first in [1, 3] {
        let bench = Bench::on(dir, guest!("guests/counts.wat"), OnFailure::Park).await;
        let found = bench.routed(step).await;
        assert_eq!(found.row.reason.as_deref(), Some(first.to_string().as_str()));
        assert_eq!(found.verdicts[0].used, ["kv"], "a replay may differ");
        let found = bench.routed_kind("bad", step).await;
        assert_eq!(found.row.state, EventState::Parked);
        let found = bench.routed(step).await;
        assert_eq!(found.row.reason.as_deref(), Some((first + 1).to_string().as_str()));
        dir = bench.stop().await;
    }
}
