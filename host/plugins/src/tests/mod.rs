//! Tests of the plugins as a whole: guests written in WebAssembly text, most of them hostile.
mod child;
mod hostile;
mod reload;
mod sandbox;
mod semantics;
mod trial;
mod warm;
mod watching;

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::{Answer, Call, Compiler, Options, Pinned, Plugins, Spec};
use hookwright_model::{Event, EventId, Name};

/// A guest from the corpus, as a component.
macro_rules! guest {
    ($path:literal) => {
        hookwright_testkit::guest::component(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/",
            $path
        )))
    };
}
use guest;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn spec(text: &str) -> Spec {
    Spec::new(name(text))
}

/// Plugins in a directory of their own.
struct Yard {
    dir: tempfile::TempDir,
}

impl Yard {
    fn new() -> Self {
        let yard = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(yard.plugins_dir()).unwrap();
        yard
    }

    fn plugins_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("plugins")
    }

    fn put(&self, file: &str, wasm: &[u8]) {
        std::fs::write(self.plugins_dir().join(file), wasm).unwrap();
    }

    fn options(&self) -> Options {
        let cache = self.dir.path().join("cache");
        let poll = Duration::from_millis(200);
        let grace = Duration::ZERO;
        Options { poll, grace, ..Options::new(self.plugins_dir(), cache, Compiler::InProcess) }
    }

    fn open(&self, specs: Vec<Spec>) -> Plugins {
        Plugins::open(self.options(), specs).unwrap()
    }
}

/// One plugin from the corpus, loaded.
async fn loaded(spec: Spec, wasm: &[u8]) -> (Yard, Plugins) {
    let yard = Yard::new();
    yard.put(&spec.file.display().to_string(), wasm);
    let plugins = yard.open(vec![spec]);
    for report in plugins.load_all().await {
        report.result.unwrap();
    }
    (yard, plugins)
}

fn event(number: i64, body: &'static str) -> Event {
    Event {
        id: EventId::new(EventId::first_row_at(1_700_000_000_000) + number, 7),
        received_ms: 1_700_000_000_000,
        source: name("github"),
        kind: "push".into(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    }
}

async fn ask(plugins: &Plugins, plugin: &str, event: &Event) -> Answer {
    ask_pinned(&plugins.pin(&[name(plugin)]), event).await
}

async fn ask_pinned(pinned: &Pinned, event: &Event) -> Answer {
    let asked = Call::about(event);
    pinned.call(0, &asked).await
}

/// Waits for a condition that other threads bring about.
async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(30), async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "never happened: {what}");
}
