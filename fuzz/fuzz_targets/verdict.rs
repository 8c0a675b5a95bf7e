//! What a guest answers, through the router: the event ends in one state, and its deliveries are fit to be made.
#![no_main]
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hookwright_model::clock::Clock;
use hookwright_model::{Event, EventId, EventState, Name};
use hookwright_plugins::{Compiler, Options, Plugins, Spec};
use hookwright_model::replies::Replies;
use hookwright_model::plugin::OnFailure;
use hookwright_routing::{Pipeline, Pipelines, Router, Step};
use hookwright_store::Routed;
use hookwright_model::tasks::Tasks;
use hookwright_fuzz::{MemoryStore, run};
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// The guest writes the event's body into its memory as its answer.
const GUEST: &str = "raw-verdict";

static ROUTER: LazyLock<(Router, Arc<MemoryStore>, tempfile::TempDir)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let plugins = plugins(folder.path()).await;
        let step = Step { plugin: name(GUEST), on_failure: OnFailure::Park };
        let pipeline = Pipeline::new(vec![step], vec![name("sink")], Arc::default());
        let pipelines = Pipelines::from([(name("shop"), pipeline)]);
        let store = Arc::new(MemoryStore::default());
        let (replies, clock) = (Replies::default(), Clock::system());
        let tasks = Tasks::new();
        let router = Router::start(pipelines, plugins, store.clone(), replies, clock, None, tasks);
        (router, store, folder)
    })
});

static ROW: AtomicI64 = AtomicI64::new(1);

fuzz_target!(|body: Vec<u8>| {
    let (router, store, _) = &*ROUTER;
    let event = Arc::new(Event {
        id: EventId::new(ROW.fetch_add(1, Ordering::Relaxed), 7),
        received_ms: 0,
        source: name("shop"),
        kind: "push".into(),
        headers: HeaderMap::new(),
        body: body.into(),
    });
    let routed = run(async {
        router.accepted(vec![event]);
        loop {
            if let Some(routed) = store.take_routed().pop() {
                return routed;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    });
    check(&routed);
});

fn check(routed: &Routed) {
    assert_eq!(routed.rulings.len(), 1);
    assert_eq!(routed.state == EventState::Routed, !routed.deliveries.is_empty());
    assert!(routed.deliveries.len() <= 64);
    for delivery in &routed.deliveries {
        let Some(payload) = &delivery.payload else { continue };
        for edit in &payload.headers {
            assert!(HeaderName::from_lowercase(edit.name.as_bytes()).is_ok(), "{}", edit.name);
            assert!(edit.value.as_deref().is_none_or(|text| HeaderValue::from_str(text).is_ok()));
        }
    }
    let reason = routed.reason.as_deref().unwrap_or_default();
    assert!(!reason.contains(char::is_control) && reason.len() < 16 << 10, "{reason:?}");
}

async fn plugins(folder: &Path) -> Plugins {
    let component = hookwright_tests::hostile(GUEST);
    std::fs::write(folder.join(format!("{GUEST}.wasm")), component).expect("a write");
    let mut spec = Spec::new(name(GUEST));
    // It would end the run after twenty bad answers.
    spec.quarantine.calls = 0;
    let options = Options::new(folder.to_owned(), folder.join("cache"), Compiler::InProcess);
    let plugins = Plugins::open(options, vec![spec]).expect("an engine");
    for report in plugins.load_all().await {
        report.result.expect("the guest loads");
    }
    plugins
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}
