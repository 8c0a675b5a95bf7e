//! Backups: a copy made under load opens as a store and has all that was there when it began.
use std::os::unix::fs::PermissionsExt;

use super::*;
use hookwright_store::{EventQuery, StoreError};

#[test]
fn a_copy_made_under_load_opens_and_misses_nothing() {
    // Small segments, so that the journal has several and new ones begin meanwhile.
    let opened = Opened::with(|options| options.segment_bytes = 16 << 10);
    let mut before = Vec::new();
    for n in 0..200 {
        let event = opened.accept(&format!("{{\"n\": {n}, \"pad\": \"{}\"}}", "x".repeat(300)));
        opened.route(&event, &["ci"]);
        before.push(event.id);
    }
    let own = opened.accept("with a payload of its own");
    let to_ci = Delivery { payload: changed("changed"), ..delivery(&own, "ci") };
    opened.store.routed(outcome(&own, EventState::Routed, vec![to_ci]));
    opened.settle(before[0], "ci", 1, dead("it said no"));
    // An outcome on its way through the journal is not in a copy, whose events are routed again.
    opened.store.flush().unwrap();
    assert!(journal_files(opened.dir.path()).len() > 3);

    let to = opened.dir.path().join("backups").join("first");
    std::fs::create_dir(to.parent().unwrap()).unwrap();
    let made = std::thread::scope(|scope| {
        let load = scope.spawn(|| (0..500).for_each(|_| drop(opened.append(event("later")))));
        let made = opened.store.backup(&to).unwrap();
        load.join().unwrap();
        made
    });
    assert!(made.events >= 201 && made.bytes > 200 * 300, "{made:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&to), mode(&to.join("index.db"))), (0o700, 0o600));

    let copy =
        open_embedded(Options::new(&to, opened.clock.clone()), Arc::new(Recorder::default()));
    let copy = copy.unwrap();
    for id in &before {
        let event = copy.event(*id).unwrap().expect("the event is in the copy");
        assert_eq!(event.deliveries.len(), 1);
    }
    let own = copy.event(own.id).unwrap().expect("the event is in the copy");
    let payload = own.deliveries[0].payload.as_ref().expect("its payload is too");
    assert_eq!(payload.body.as_deref(), Some(&b"changed"[..]));
    let dead = EventQuery {
        delivery: Some(hookwright_model::DeliveryState::Dead),
        limit: 10,
        ..EventQuery::default()
    };
    assert_eq!(copy.events(&dead).unwrap().len(), 1);
    // It goes on by itself.
    assert!(matches!(wait(copy.append(event("new"))), Ok(Appended::New(_))));
}

#[test]
fn a_folder_that_exists_is_left_alone() {
    let opened = Opened::new();
    let to = opened.dir.path().join("precious");
    std::fs::create_dir(&to).unwrap();
    std::fs::write(to.join("file"), "kept").unwrap();
    let error = opened.store.backup(&to).unwrap_err();
    assert!(matches!(&error, StoreError::Failed(why) if why.contains("exists")), "{error}");
    assert_eq!(std::fs::read_to_string(to.join("file")).unwrap(), "kept");
}

#[test]
fn what_can_not_be_written_leaves_nothing_behind() {
    let opened = Opened::new();
    opened.accept("one");
    let no_folder = opened.dir.path().join("LOCK").join("backup");
    assert!(opened.store.backup(&no_folder).is_err());
    let to = opened.dir.path().join("backup");
    // Of an earlier one that broke off.
    std::fs::create_dir_all(opened.dir.path().join("backup.part/journal")).unwrap();
    opened.store.backup(&to).unwrap();
    assert!(to.join("index.db").exists() && !opened.dir.path().join("backup.part").exists());
}
