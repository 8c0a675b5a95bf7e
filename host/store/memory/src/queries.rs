//! What people ask, answered from the rows.
use std::collections::BTreeMap;

use hookwright_model::{DeliveryState, EventId};
use hookwright_store::{
    Backlog, DeliveryDetail, DeliveryRow, EventDetail, EventQuery, EventRow, FeedPage, Found,
};

use super::deliveries::Sent;
use super::events::{Kept, NODE, Tables};

/// Rows of a page, at the most.
const MOST: usize = 1_000;

impl Tables {
    /// All that the filters leave, in the query's order.
    fn filtered<'t>(&'t self, query: &'t EventQuery) -> Box<dyn Iterator<Item = &'t Kept> + 't> {
        let fits = move |kept: &&Kept| fits(kept, query);
        match query.oldest_first {
            true => Box::new(self.events.values().filter(fits)),
            false => Box::new(self.events.values().rev().filter(fits)),
        }
    }

    pub(super) fn list(&self, query: &EventQuery) -> Vec<EventRow> {
        self.filtered(query).take(query.limit.min(MOST)).map(row).collect()
    }

    pub(super) fn search(&self, query: &EventQuery, text: &str) -> Found {
        let mut found = Found::default();
        let mut last = None;
        for kept in self.filtered(query) {
            if found.rows.len() >= query.limit.min(MOST) {
                found.stopped_at = last;
                break;
            }
            found.looked_at += 1;
            last = Some(kept.event.id);
            let mut places = kept.event.body.windows(text.len().max(1));
            if text.is_empty() || places.any(|place| place == text.as_bytes()) {
                found.rows.push(row(kept));
            }
        }
        found
    }

    pub(super) fn feed(&self, query: &EventQuery, after: Option<EventId>) -> Option<FeedPage> {
        let up_to = EventId::new(self.last, NODE);
        let Some(after) = after else {
            return Some(FeedPage { rows: Vec::new(), position: up_to });
        };
        if after.node() != NODE {
            return None;
        }
        let query =
            EventQuery { after: Some(after), before: None, oldest_first: true, ..query.clone() };
        let rows = self.list(&query);
        let full = rows.len() >= query.limit.min(MOST);
        let last = rows.last().filter(|_| full).map(|row| row.id);
        Some(FeedPage { position: last.unwrap_or(up_to.max(after)), rows })
    }

    pub(super) fn detail(&self, id: EventId) -> Option<EventDetail> {
        let kept = self.events.get(&id.row()).filter(|kept| kept.event.id == id)?;
        let detail = |sent: &Sent| DeliveryDetail {
            row: delivery_row(sent),
            payload: Self::payload(sent),
            attempts: sent.log.values().cloned().collect(),
        };
        Some(EventDetail {
            row: row(kept),
            event: kept.event.clone(),
            verdicts: kept.verdicts.clone(),
            deliveries: kept.sent.iter().map(detail).collect(),
        })
    }

    pub(super) fn backlog(&self) -> Vec<Backlog> {
        let empty = |name: &hookwright_model::Name| {
            (name.clone(), Backlog { destination: name.to_string(), ..Backlog::default() })
        };
        let mut all: BTreeMap<_, _> = self.destinations.iter().map(empty).collect();
        for sent in self.sent() {
            let Some(backlog) = all.get_mut(&sent.delivery.destination) else { continue };
            backlog.dead += u64::from(sent.state == DeliveryState::Dead);
            backlog.waiting += u64::from(sent.waits());
            if sent.waits() && !sent.behind {
                backlog.oldest_ms.get_or_insert(sent.delivery.event.received_ms);
            }
        }
        all.into_values().collect()
    }
}

fn fits(kept: &Kept, query: &EventQuery) -> bool {
    let event = &kept.event;
    let same = |wanted: &Option<String>, own: &str| wanted.as_ref().is_none_or(|text| text == own);
    let chosen = |sent: &Sent| {
        same(&query.destination, &sent.delivery.destination)
            && query.delivery.is_none_or(|state| state == sent.state)
    };
    let any = query.destination.is_none() && query.delivery.is_none();
    same(&query.source, &event.source)
        && same(&query.kind, &event.kind)
        && query.state.is_none_or(|state| state == kept.state)
        && (any || kept.sent.iter().any(chosen))
        && query.since_ms.is_none_or(|since_ms| event.received_ms >= since_ms)
        && query.until_ms.is_none_or(|until_ms| event.received_ms < until_ms)
        && query.before.is_none_or(|before| event.id.row() < before.row())
        && query.after.is_none_or(|after| event.id.row() > after.row())
}

fn row(kept: &Kept) -> EventRow {
    EventRow {
        id: kept.event.id,
        source: kept.event.source.to_string(),
        kind: kept.event.kind.to_string(),
        state: kept.state,
        received_ms: kept.event.received_ms,
        body_bytes: kept.event.body.len() as u64,
        replays: kept.replays,
        reason: kept.reason.clone(),
        deliveries: kept.sent.iter().map(delivery_row).collect(),
    }
}

fn delivery_row(sent: &Sent) -> DeliveryRow {
    DeliveryRow {
        destination: sent.delivery.destination.to_string(),
        state: sent.state,
        due_ms: sent.delivery.due_ms,
        attempts: sent.delivery.attempts,
        cause: sent.cause.clone(),
        behind: sent.behind,
    }
}
