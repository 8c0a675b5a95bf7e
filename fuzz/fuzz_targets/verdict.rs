//! What a guest answers, through the router: the event ends in one state, and its deliveries are fit to be made.
#![no_main]
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hookwright_fuzz::{Handed, run, store};
use hookwright_model::clock::Clock;
use hookwright_model::plugin::OnFailure;
use hookwright_model::replies::Replies;
use hookwright_model::tasks::Tasks;
use hookwright_model::{EventState, Name};
use hookwright_plugins::{Compiler, Options, Plugins, Spec};
use hookwright_routing::{Pipeline, Pipelines, Router, Step};
use hookwright_store::{Appended, EventDetail, EventLog, NewEvent, Queries};
use hookwright_store_memory::Memory;
use http::{HeaderMap, HeaderName, HeaderValue};
use libfuzzer_sys::fuzz_target;

/// The guest writes the event's body into its memory as its answer.
const GUEST: &str = "raw-verdict";

static ROUTER: LazyLock<(Router, Arc<Memory>, Arc<Handed>, tempfile::TempDir)> =
    LazyLock::new(|| {
        let folder = tempfile::tempdir().expect("a folder");
        run(async {
            let plugins = plugins(folder.path()).await;
            let step = Step { plugin: name(GUEST), on_failure: OnFailure::Park };
            let pipeline = Pipeline::new(vec![step], vec![name("sink")], Arc::default());
            let pipelines = Pipelines::from([(name("shop"), pipeline)]);
            let (store, handed) = store();
            let (replies, clock) = (Replies::default(), Clock::system());
            let tasks = Tasks::new();
            let router =
                Router::start(pipelines, plugins, store.clone(), replies, clock, None, tasks);
            (router, store, handed, folder)
        })
    });

fuzz_target!(|body: Vec<u8>| {
    let (router, store, handed, _) = &*ROUTER;
    let event = NewEvent {
        source: name("shop"),
        kind: "push".into(),
        headers: HeaderMap::new(),
        body: body.into(),
        dedupe: None,
    };
    let detail = run(async {
        let appended = store.append(event).await.expect("an open store");
        let Appended::New(id) = appended else { panic!("it has no key") };
        router.accepted(handed.take());
        loop {
            let found = store.event(id).await.expect("an open store");
            let detail = found.expect("it was appended");
            if detail.row.state != EventState::Accepted {
                return detail;
            }
            tokio::time::sleep(Duration::from_micros(100)).await;
        }
    });
    store.clear();
    check(&detail);
});

fn check(detail: &EventDetail) {
    assert_eq!(detail.verdicts.len(), 1);
    assert_eq!(detail.row.state == EventState::Routed, !detail.deliveries.is_empty());
    assert!(detail.deliveries.len() <= 64);
    for delivery in &detail.deliveries {
        let Some(payload) = &delivery.payload else { continue };
        for edit in &payload.headers {
            assert!(HeaderName::from_lowercase(edit.name.as_bytes()).is_ok(), "{}", edit.name);
            assert!(edit.value.as_deref().is_none_or(|text| HeaderValue::from_str(text).is_ok()));
        }
    }
    let reason = detail.row.reason.as_deref().unwrap_or_default();
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
