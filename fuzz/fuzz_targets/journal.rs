//! A damaged journal, its index there or not: the store opens or says why not, and gives only what was written.
#![no_main]
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use hookwright_fuzz::run;
use hookwright_model::clock::Clock;
use hookwright_model::{Event, EventId};
use hookwright_store::{Appended, Handoff, NewEvent, Store};
use hookwright_store_embedded::{Options, open};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const BODIES: [&str; 4] = ["", "{}", "a longer body than the others", "\u{0}\u{1}"];

/// A store that was closed in order, and the ids of its events.
static WHOLE: LazyLock<(TempDir, Vec<EventId>)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a directory for temporary files");
    let store = opened(dir.path()).expect("a new store");
    let append = |body| match run(store.append(event(body))) {
        Ok(Appended::New(id)) => id,
        other => panic!("not a new event: {other:?}"),
    };
    let ids = BODIES.into_iter().map(append).collect();
    run(store.close()).expect("closed in order");
    (dir, ids)
});

fuzz_target!(|input: (bool, Option<u16>, Vec<(u16, u8)>)| {
    let (rebuild, cut, damage) = input;
    let (whole, ids) = &*WHOLE;
    let dir = tempfile::tempdir().expect("a directory for temporary files");
    let journal = copy(whole.path(), dir.path(), rebuild).expect("the store has a journal");
    let before = fs::read(&journal).expect("a copy");
    let mut bytes = before.clone();
    for (place, mask) in damage {
        bytes[usize::from(place) % before.len()] ^= mask;
    }
    bytes.truncate(cut.map_or(before.len(), usize::from));
    fs::write(&journal, &bytes).expect("room for a copy");

    let intact = bytes == before;
    let store = match opened(dir.path()) {
        Ok(store) => store,
        Err(error) => return assert!(!intact, "{error}"),
    };
    for (id, body) in ids.iter().zip(BODIES) {
        match run(store.event(*id)) {
            Ok(Some(detail)) => check(&detail.event, *id, body),
            other => assert!(!intact, "{other:?}"),
        }
    }
    run(store.close()).expect("closed in order");
});

fn check(event: &Event, id: EventId, body: &'static str) {
    let expected = self::event(body);
    assert_eq!((event.id, &event.source, &event.kind), (id, &expected.source, &expected.kind));
    assert_eq!((&event.headers, &event.body), (&expected.headers, &expected.body));
}

fn event(body: &'static str) -> NewEvent {
    let json = http::HeaderValue::from_static("application/json");
    NewEvent {
        source: "s".parse().expect("a name"),
        kind: "push".into(),
        headers: [(http::header::CONTENT_TYPE, json)].into_iter().collect(),
        body: body.into(),
        dedupe: None,
    }
}

/// Takes nothing on.
struct Nobody;

impl Handoff for Nobody {
    fn durable(&self, _: Vec<Arc<Event>>) {}

    fn ready(&self, _: Vec<hookwright_model::Delivery>) {}
}

fn opened(dir: &Path) -> Result<Arc<dyn Store>, hookwright_store_embedded::OpenError> {
    open(Options::new(dir, Clock::manual(1_700_000_000_000)), Arc::new(Nobody))
}

/// Copies a data directory, without the index where it is to be made again;
/// gives the newest file of the journal.
fn copy(from: &Path, to: &Path, without_index: bool) -> Option<PathBuf> {
    let mut newest = None;
    fs::create_dir(to.join("journal")).expect("an empty directory");
    for part in ["", "journal"] {
        for entry in fs::read_dir(from.join(part)).expect("a directory") {
            let path = entry.expect("an entry").path();
            let copied = to.join(part).join(path.file_name().expect("an entry has a name"));
            let left_out = part.is_empty() && without_index;
            if path.is_file() && !left_out {
                fs::copy(&path, &copied).expect("room for a copy");
                newest = newest.max((!part.is_empty()).then_some(copied));
            }
        }
    }
    newest
}
