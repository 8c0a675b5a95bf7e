//! Tests of routing as a whole: a real store, real components, and time that is moved.
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::*;
use crate::model::{Decision, Delivery, EventState};
use crate::plugins::{Compiler, Options, Spec};
use crate::store::{Appended, EventDetail, Handoff, NewEvent};

const START: u64 = 1_700_000_000_000;

#[derive(Default)]
struct ToRouter(OnceLock<Router>);

impl Handoff for ToRouter {
    fn accepted(&self, events: Vec<Arc<Event>>) {
        if let Some(router) = self.0.get() {
            router.accepted(events);
        }
    }
    fn ready(&self, _deliveries: Vec<Delivery>) {}
    fn stir(&self) {
        if let Some(router) = self.0.get() {
            router.stir();
        }
    }
}

/// One source with one plugin, whose settings say what a failure means.
struct Bench {
    store: Arc<dyn Store>,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(guest: &str, on_failure: OnFailure) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let wasm = crate::plugins::tests::component(guest);
        std::fs::write(dir.path().join("p.wasm"), wasm).unwrap();
        let name: Name = "p".parse().unwrap();
        let options =
            Options::new(dir.path().into(), dir.path().join("cache"), Compiler::InProcess);
        let plugins = Plugins::open(options, vec![Spec::new(name.clone())]).unwrap();
        plugins.load_all().await.remove(0).result.unwrap();
        let handoff = Arc::new(ToRouter::default());
        // The store's threads know nothing of the time that the test moves.
        let stored = crate::store::Options::new(dir.path().join("data"), Clock::manual(START));
        let store = crate::store::open(stored, handoff.clone()).unwrap();
        let steps = vec![Step { plugin: name, on_failure }];
        let pipeline = Pipeline::new(steps, vec!["sink".parse().unwrap()], Arc::default());
        let (tasks, clock) = (Tasks::new(), Clock::tokio(START));
        let pipelines = Pipelines::from([("shop".parse().unwrap(), pipeline)]);
        let router = Router::start(pipelines, plugins, store.clone(), clock, tasks.clone());
        let _ = handoff.0.set(router);
        Self { store, tasks, _dir: dir }
    }

    /// Sends an event and waits until its routing has ended, by steps of time.
    async fn routed(&self, step: Duration) -> EventDetail {
        let event = NewEvent {
            source: "shop".parse().unwrap(),
            kind: "".into(),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            dedupe: None,
        };
        // On a thread that waits: time stands still meanwhile.
        let (appended, runtime) = (self.store.append(event), tokio::runtime::Handle::current());
        let appended = tokio::task::spawn_blocking(move || runtime.block_on(appended)).await;
        let Appended::New(id) = appended.unwrap().unwrap() else { panic!("it is new") };
        for _ in 0..1_000 {
            tokio::time::sleep(step).await;
            let store = self.store.clone();
            let found = tokio::task::spawn_blocking(move || store.event(id)).await.unwrap();
            match found.unwrap() {
                Some(found) if found.row.state != EventState::Accepted => return found,
                _ => {}
            }
        }
        panic!("it was never routed");
    }

    async fn stop(self) {
        self.tasks.drain(Duration::from_secs(5)).await;
        self.store.close();
    }
}

macro_rules! guest {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/", $path))
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
        assert!(matches!(&found.rulings[0].decision, Decision::Retry(reason) if reason == "T"));
        // 1 + 2 + … + 64 s between eight tries.
        assert!(started.elapsed() >= Duration::from_secs(127), "{:?}", started.elapsed());
        if on_failure != OnFailure::Skip {
            assert_eq!(found.row.reason.as_deref(), Some("p: asks for another try: T"));
        }
        bench.stop().await;
    }
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
            let Decision::Fail(why) = &found.rulings[0].decision else { panic!("it failed") };
            let left_alone = why.starts_with("is quarantined: ");
            assert!(left_alone || why.starts_with("trapped: "), "{why}");
            assert!(number >= 20 || !left_alone, "after {number}");
            quarantined += usize::from(left_alone);
        }
        assert!(quarantined > 0, "some were left alone, between the probes");
        bench.stop().await;
    }
}
