//! Lists for people and for those who follow: the search in the bodies, and the feed.
use super::*;
use crate::store::EventQuery;

fn all(limit: usize) -> EventQuery {
    EventQuery { limit, ..EventQuery::default() }
}

#[test]
fn a_search_finds_bodies_by_their_bytes_and_says_where_it_stopped() {
    let opened = Opened::new();
    let ids: Vec<_> =
        ["red apple", "green pear", "red pear"].map(|body| opened.accept(body).id).into();
    let found = opened.store.search(&all(10), "red").unwrap();
    assert_eq!(found.rows.iter().map(|row| row.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
    assert_eq!((found.looked_at, found.stopped_at), (3, None));
    let first = opened.store.search(&all(1), "red").unwrap();
    assert_eq!((first.looked_at, first.stopped_at), (1, Some(ids[2])));
    let rest = EventQuery { before: first.stopped_at, ..all(1) };
    let rest = opened.store.search(&rest, "red").unwrap();
    assert_eq!((rest.rows[0].id, rest.stopped_at), (ids[0], None));
    let other = EventQuery { source: Some("nobody".into()), ..all(10) };
    assert_eq!(opened.store.search(&other, "red").unwrap().looked_at, 0);
    assert!(opened.store.search(&all(10), "Red").unwrap().rows.is_empty());
}

#[test]
fn a_feed_goes_on_from_where_it_was() {
    let opened = Opened::new();
    opened.accept("before");
    let start = opened.store.feed(&all(2), None).unwrap().unwrap();
    assert!(start.rows.is_empty());
    let ids: Vec<_> = (0..3).map(|number| opened.accept(&number.to_string()).id).collect();
    let first = opened.store.feed(&all(2), Some(start.position)).unwrap().unwrap();
    assert_eq!(first.rows.iter().map(|row| row.id).collect::<Vec<_>>(), ids[..2]);
    assert_eq!(first.position, ids[1]);
    let second = opened.store.feed(&all(2), Some(first.position)).unwrap().unwrap();
    assert_eq!((second.rows[0].id, second.position), (ids[2], ids[2]));
    // What the filters leave out moves the position on all the same.
    let other = EventQuery { source: Some("nobody".into()), ..all(2) };
    let none = opened.store.feed(&other, Some(start.position)).unwrap().unwrap();
    assert_eq!((none.rows.len(), none.position), (0, ids[2]));
    let foreign = EventId::new(ids[0].row(), ids[0].node() ^ 1);
    assert!(opened.store.feed(&all(2), Some(foreign)).unwrap().is_none());
}
