//! What lists cost those who write.
use super::*;
use hookwright_store::{EventQuery, Settled};

/// Rows written, by a trigger for each kind of write.
fn count_writes(opened: &Opened) {
    let conn = rusqlite::Connection::open(opened.dir.path().join("index.db")).unwrap();
    conn.execute_batch("CREATE TABLE written(rows INTEGER); INSERT INTO written VALUES(0);")
        .unwrap();
    for (table, way) in
        [("event", "INSERT"), ("event", "UPDATE"), ("delivery", "INSERT"), ("delivery", "UPDATE")]
    {
        conn.execute_batch(&format!(
            "CREATE TRIGGER count_{table}_{way} AFTER {way} ON {table}
             BEGIN UPDATE written SET rows = rows + 1; END"
        ))
        .unwrap();
    }
}

fn written(opened: &Opened) -> i64 {
    let conn = crate::index::schema::open_reader(opened.dir.path()).unwrap();
    conn.query_row("SELECT rows FROM written", [], |row| row.get(0)).unwrap()
}

/// Listing 240 times a second made each event cost nearly twice the bytes, since
/// each read committed what waits for its outcome. Now readers wait, see all that
/// came before them, and each row is written once.
#[test]
fn regression_readers_make_no_row_be_written_twice() {
    let opened = Opened::with(|options| {
        options.hold = Duration::from_secs(60);
        options.read_spacing = Duration::from_secs(3_600);
    });
    count_writes(&opened);
    let all = || EventQuery { limit: 1_000, ..EventQuery::default() };
    // The one read of this hour that may have rows committed for it.
    opened.accept("first");
    assert_eq!(opened.store.events(&all()).unwrap().len(), 1);
    let before = written(&opened);
    let events: Vec<_> = (0..50).map(|number| opened.accept(&number.to_string())).collect();
    let readers: Vec<_> = (0..20)
        .map(|number| {
            let (store, id) = (Arc::clone(&opened.store), events[49].id);
            std::thread::spawn(move || match number % 3 {
                0 => store.events(&all()).unwrap().len(),
                1 => store.event(id).unwrap().map_or(0, |detail| detail.row.deliveries.len() * 51),
                _ => store.usage().unwrap().events as usize,
            })
        })
        .collect();
    // They wait, rather than have rows committed.
    while opened.store.index.asking() < readers.len() {
        std::thread::yield_now();
    }
    for event in &events {
        let routed = outcome(event, EventState::Routed, vec![delivery(event, "ci")]);
        opened.store.routed(Routed { first: true, ..routed });
        opened
            .store
            .settled(Settled { ordered: false, ..settled(event.id, "ci", 1, Next::Delivered) });
    }
    let seen: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
    assert_eq!(seen, [51; 20], "each sees what came before it");
    assert_eq!(written(&opened) - before, 100, "an event's row and its delivery's, once each");
}
