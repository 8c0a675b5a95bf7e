//! What waits: order, pages and cursors, and that a page costs its size at any backlog.
use super::*;
use crate::cursor::DueCursor;
use crate::index::apply;
use crate::index::schema;
use crate::queries::listing;
use crate::queries::query;
use hookwright_model::DeliveryState;
use hookwright_store::EventQuery;

fn plan(dir: &Path, sql: &str) -> String {
    let conn = schema::open_reader(dir).unwrap();
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    for place in 1..=statement.parameter_count() {
        statement.raw_bind_parameter(place, 1).unwrap();
    }
    let mut rows = statement.raw_query();
    let mut text = String::new();
    while let Some(row) = rows.next().unwrap() {
        text.push_str(&row.get::<_, String>(3).unwrap());
        text.push('\n');
    }
    text
}

#[test]
fn pages_are_read_off_the_partial_indexes_in_their_order() {
    let opened = Opened::new();
    let due = plan(opened.dir.path(), query::DUE);
    assert!(due.contains("delivery_due (dest=? AND (due,event)>(?,?))"), "{due}");
    assert!(!due.contains("TEMP B-TREE"), "{due}");
    let unrouted = plan(opened.dir.path(), query::UNROUTED);
    assert!(unrouted.contains("event_accepted (source=? AND due>?)"), "{unrouted}");
    assert!(!unrouted.contains("TEMP B-TREE"), "{unrouted}");
}

#[test]
fn lists_walk_the_rows_newest_first_without_sorting() {
    let opened = Opened::new();
    let event = opened.accept("x");
    opened.route(&event, &["ci"]);
    opened.settle(event.id, "ci", 1, dead("no"));
    opened.store.flush().unwrap();
    let conn = schema::open_reader(opened.dir.path()).unwrap();
    let every = |(delivery, oldest_first)| EventQuery {
        source: Some(SOURCE.into()),
        kind: Some("push".into()),
        destination: Some("ci".into()),
        state: Some(EventState::Routed),
        delivery,
        since_ms: Some(START),
        until_ms: Some(START + 1),
        before: None,
        after: Some(EventId::new(event.id.row() - 1, event.id.node())),
        oldest_first,
        limit: 10,
    };
    let deliveries = || DeliveryState::ALL.map(Some).into_iter().chain([None]);
    for (delivery, oldest_first) in
        deliveries().flat_map(|delivery| [(delivery, false), (delivery, true)])
    {
        let query = every((delivery, oldest_first));
        let built = listing::statement(&conn, &opened.store.counts, &query, 10).unwrap();
        let plan = plan(opened.dir.path(), &built.unwrap().0);
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        let found = opened.store.events(&query).unwrap().len();
        let wanted = delivery.is_none_or(|state| state == DeliveryState::Dead);
        assert_eq!(found, usize::from(wanted));
    }
}

/// Fills the rows in without the journal: for their number only.
fn fill(dir: &Path, rows: i64) {
    let conn = rusqlite::Connection::open(dir.join("index.db")).unwrap();
    conn.execute_batch(&format!(
        "BEGIN; INSERT OR IGNORE INTO destination(id, text) VALUES(1, 'ci');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO delivery SELECT i << 16, 1, 0, 1000 + i, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, 0 FROM n;
         COMMIT;"
    ))
    .unwrap();
}

#[test]
fn the_backlog_is_counted_once_at_the_opening() {
    let opened = Opened::new();
    opened.accept("x");
    opened.store.close();
    fill(opened.dir.path(), 100_000);
    let opened = opened.again();
    let backlog = opened.store.backlog().unwrap();
    assert_eq!((backlog[0].waiting, backlog[0].oldest_ms), (100_000, Some(1)));
}

#[test]
fn due_pages_follow_their_cursor() {
    let opened = Opened::new();
    let mut expected = Vec::new();
    for number in 0..23u64 {
        let event = opened.accept(&number.to_string());
        let mut sent = delivery(&event, "ci");
        sent.due_ms = START + number * 7 % 5;
        expected.push((sent.due_ms, event.id.row()));
        opened.store.routed(outcome(
            &event,
            EventState::Routed,
            vec![sent, delivery(&event, "log")],
        ));
    }
    expected.sort_unstable();
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = opened.due_page("ci", START + 3, after, 4);
        for one in &page.deliveries {
            let cursor = DueCursor { due_ms: one.due_ms, row: one.event.id.row() };
            found.push((cursor.due_ms, cursor.row));
            after = Some(cursor);
        }
        if page.deliveries.is_empty() {
            assert_eq!(page.next_due_ms, Some(START + 4));
            break;
        }
        assert_eq!(page.next_due_ms, expected.get(found.len()).map(|next| next.0));
    }
    expected.retain(|(due, _)| *due <= START + 3);
    assert_eq!(found, expected);
    assert_eq!(opened.due_page("none", START, None, 4).next_due_ms, None);
}

#[test]
fn a_page_of_large_bodies_ends_early_and_says_that_there_is_more() {
    let opened = Opened::with(|options| options.queue_bytes = 128 << 20);
    let large = "x".repeat(6 << 20);
    for _ in 0..4 {
        let event = opened.accept(&large);
        opened.route(&event, &["ci"]);
    }
    let page = opened.due_page("ci", START, None, 100);
    assert!((1..4).contains(&page.deliveries.len()));
    assert_eq!(page.next_due_ms, Some(START));
}

#[test]
fn an_event_that_asks_for_another_try_is_found_when_it_is_due() {
    let opened = Opened::new();
    let events: Vec<_> = (0..5).map(|number| opened.accept(&number.to_string())).collect();
    let mut again = outcome(&events[1], EventState::Accepted, Vec::new());
    (again.retry_ms, again.tries) = (START + 10, 3);
    opened.store.routed(again);
    opened.store.flush().unwrap();
    let read = |now_ms, after| {
        let page = opened.store.unrouted(SOURCE, now_ms, after, 2).unwrap();
        let ids: Vec<_> = page.events.iter().map(|one| one.event.id).collect();
        (ids, page.next_due_ms)
    };
    let after = |number: usize| Some(DueCursor { due_ms: 0, row: events[number].id.row() });
    assert_eq!(read(START, None), (vec![events[0].id, events[2].id], Some(0)));
    let rest = vec![events[3].id, events[4].id];
    assert_eq!(read(START, after(2)), (rest, Some(START + 10)));
    assert_eq!(read(START + 10, after(4)), (vec![events[1].id], None));
    assert!(opened.store.unrouted("nobody", START, None, 2).unwrap().events.is_empty());
    let last = &opened.unrouted(START + 10).events[4];
    assert_eq!((last.tries, last.due_ms, last.replay), (3, START + 10, false));
}

#[test]
fn a_settled_delivery_is_never_given_out_again() {
    let opened = Opened::new();
    for number in 0..200 {
        let event = opened.accept(&number.to_string());
        opened.route(&event, &["ci"]);
        opened.handed.wait("delivery", |handed| handed.ready.len() == 1);
        opened.handed.take_ready();
        opened.settle(event.id, "ci", 1, Next::Delivered);
        assert!(opened.due("ci", START).is_empty());
    }
}

/// "Claims cost O(log n) in backlog": each step of an order is a look-up.
#[test]
fn the_next_of_an_order_key_is_found_by_an_index() {
    let opened = Opened::new();
    opened.accept("x");
    for sql in [apply::IS_TAKEN, apply::HAS_HEAD, apply::NEXT] {
        let plan = plan(opened.dir.path(), sql);
        let walks = |line: &&str| line.starts_with("SCAN") && *line != "SCAN CONSTANT ROW";
        assert!(!plan.lines().any(|line| walks(&line)), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(plan.contains("(dest=? AND order_key=?"), "{plan}");
    }
}
