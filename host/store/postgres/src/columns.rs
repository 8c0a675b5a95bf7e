//! A batch as the statements of its transaction, column by column.
use hookwright_model::{DeliveryKey, DeliveryState, EventId, StateValue};
use hookwright_store::{GivenUp, Next, Settled};

use super::batch::{Batch, Fresh, Steps, number};
use super::codec;
use super::connection::Step;
use super::engine::Engine;

/// `i64` of a time or a count that never comes near the end.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn small(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Row keys and epochs. Those of another database get an epoch that no row has.
fn places(engine: &Engine, ids: impl Iterator<Item = EventId>) -> (Vec<i64>, Vec<i32>) {
    ids.map(|id| engine.place(id).unwrap_or((id.row(), 0))).unzip()
}

impl Batch {
    /// The statements in their order. Those of `steps` are the last ones, one each.
    pub(crate) fn statements<'a>(&'a self, engine: &'a Engine) -> Vec<Step<'a>> {
        let mut all = vec![Step::new(BEGIN).with(engine.epoch).with(self.number)];
        if !self.destinations.is_empty() {
            let names: Vec<&str> = self.destinations.iter().map(|name| name.as_str()).collect();
            all.push(Step::new(DESTINATIONS).with(names));
        }
        if !self.outcomes.is_empty() {
            all.push(self.outcomes(engine));
        }
        let (waiting, ended): (Vec<&Fresh>, Vec<&Fresh>) =
            self.fresh.iter().partition(|fresh| fresh.state == DeliveryState::Waiting);
        if !waiting.is_empty() {
            all.push(first_waiting(engine, &waiting));
        }
        if !ended.is_empty() {
            all.push(first_ended(engine, &ended));
        }
        let apart = |fresh: &&Fresh| !is_in_row(fresh);
        let attempts: Vec<_> = self
            .fresh
            .iter()
            .filter(apart)
            .flat_map(|fresh| fresh.attempts.iter().map(move |attempt| (fresh, attempt)))
            .collect();
        if !attempts.is_empty() {
            let (ids, epochs) =
                places(engine, attempts.iter().map(|(one, _)| one.delivery.event.id));
            let names: Vec<&str> =
                attempts.iter().map(|(one, _)| &*one.delivery.destination).collect();
            let numbers: Vec<i64> = attempts.iter().map(|(_, one)| i64::from(one.number)).collect();
            let data: Vec<_> = attempts.iter().map(|(_, one)| codec::from_attempt(one)).collect();
            let step = Step::new(ATTEMPTS).with(ids).with(epochs).with(names);
            all.push(step.with(numbers).with(data));
        }
        if !self.state.is_empty() {
            all.extend(self.state());
        }
        all.extend(self.steps.iter().map(|steps| match steps {
            Steps::Deliver(all) => deliver(engine, all),
            Steps::Settle(all) => settle(engine, all),
            Steps::GiveUp(all) => give_up(engine, all),
        }));
        all
    }

    fn outcomes<'a>(&'a self, engine: &Engine) -> Step<'a> {
        let (ids, epochs) = places(engine, self.outcomes.keys().copied());
        let rows = || self.outcomes.values();
        Step::new(OUTCOMES)
            .with(ids)
            .with(epochs)
            .with(rows().map(|row| row.state).collect::<Vec<_>>())
            .with(rows().map(|row| row.reason.as_deref()).collect::<Vec<_>>())
            .with(rows().map(|row| row.verdicts.as_deref()).collect::<Vec<_>>())
            .with(
                rows().map(|row| row.source.as_ref().map(|name| name.as_str())).collect::<Vec<_>>(),
            )
            .with(rows().map(|row| signed(row.due_ms)).collect::<Vec<_>>())
            .with(rows().map(|row| small(row.tries)).collect::<Vec<_>>())
            .with(rows().map(|row| row.first).collect::<Vec<_>>())
    }

    fn state(&self) -> [Step<'_>; 2] {
        let gone = || self.state.values().filter(|row| row.value.is_none());
        let kept = || self.state.values().filter_map(|row| Some((row, row.value.as_ref()?)));
        let forget = Step::new(FORGET)
            .with(gone().map(|row| row.plugin.as_str()).collect::<Vec<_>>())
            .with(gone().map(|row| row.key.as_bytes()).collect::<Vec<_>>());
        let count = |value: &StateValue| match value {
            StateValue::Number(number) => Some(*number),
            StateValue::Bytes(_) => None,
        };
        let bytes: Vec<Option<&[u8]>> = kept()
            .map(|(_, value)| match value {
                StateValue::Number(_) => None,
                StateValue::Bytes(bytes) => Some(&bytes[..]),
            })
            .collect();
        let keep = Step::new(KEEP)
            .with(kept().map(|(row, _)| row.plugin.as_str()).collect::<Vec<_>>())
            .with(kept().map(|(row, _)| row.key.as_bytes()).collect::<Vec<_>>())
            .with(kept().map(|(_, value)| count(value)).collect::<Vec<_>>())
            .with(bytes)
            .with(kept().map(|(row, _)| row.expires_ms.map(signed)).collect::<Vec<_>>());
        [forget, keep]
    }
}

/// Whether its one attempt stands in the delivery's own row.
fn is_in_row(fresh: &Fresh) -> bool {
    let only_first = matches!(&fresh.attempts[..], [one] if one.number == 1);
    fresh.state != DeliveryState::Waiting && only_first
}

fn order_key(delivery: &hookwright_model::Delivery) -> Option<&[u8]> {
    delivery.order_key.as_ref().map(|key| key.as_bytes())
}

/// The columns that all deliveries have.
fn with_delivery<'a>(
    step: Step<'a>,
    engine: &Engine,
    all: impl Iterator<Item = &'a hookwright_model::Delivery> + Clone,
) -> Step<'a> {
    let (ids, epochs) = places(engine, all.clone().map(|one| one.event.id));
    let payload =
        |one: &hookwright_model::Delivery| one.payload.as_deref().map(codec::from_payload);
    step.with(ids)
        .with(epochs)
        .with(all.clone().map(|one| one.destination.as_str()).collect::<Vec<_>>())
        .with(all.clone().map(|one| signed(one.due_ms)).collect::<Vec<_>>())
        .with(all.clone().map(|one| small(one.tries)).collect::<Vec<_>>())
        .with(all.clone().map(|one| small(one.attempts)).collect::<Vec<_>>())
        .with(all.clone().map(order_key).collect::<Vec<_>>())
        .with(all.clone().map(|one| one.replayed).collect::<Vec<_>>())
        .with(all.map(payload).collect::<Vec<_>>())
}

fn first_waiting<'a>(engine: &Engine, all: &[&'a Fresh]) -> Step<'a> {
    let all: Vec<_> = all.iter().map(|fresh| &fresh.delivery).collect();
    with_delivery(Step::new(WAITING), engine, all.iter().copied())
}

fn first_ended<'a>(engine: &Engine, all: &[&'a Fresh]) -> Step<'a> {
    let deliveries: Vec<_> = all.iter().map(|fresh| &fresh.delivery).collect();
    let first = |fresh: &&Fresh| {
        let attempt = fresh.attempts.first().filter(|_| is_in_row(fresh));
        attempt.map(codec::from_attempt)
    };
    let state = |fresh: &&Fresh| number(&DeliveryState::ALL, fresh.state);
    with_delivery(Step::new(ENDED), engine, deliveries.iter().copied())
        .with(all.iter().map(state).collect::<Vec<_>>())
        .with(all.iter().map(|fresh| fresh.cause.as_deref()).collect::<Vec<_>>())
        .with(all.iter().map(first).collect::<Vec<_>>())
}

fn deliver<'a>(engine: &Engine, all: &'a [hookwright_model::Delivery]) -> Step<'a> {
    with_delivery(Step::new(DELIVER), engine, all.iter())
}

fn keys<'a>(
    step: Step<'a>,
    engine: &Engine,
    all: impl Iterator<Item = &'a DeliveryKey> + Clone,
) -> Step<'a> {
    let (ids, epochs) = places(engine, all.clone().map(|key| key.event));
    let names: Vec<&str> = all.map(|key| key.destination.as_str()).collect();
    step.with(ids).with(epochs).with(names)
}

fn settle<'a>(engine: &Engine, all: &'a [Settled]) -> Step<'a> {
    let due = |one: &Settled| match one.next {
        Next::Retry { due_ms } => signed(due_ms),
        _ => 0,
    };
    let cause = |one: &Settled| match &one.next {
        Next::Dead { cause } => Some(codec::text(cause)),
        _ => None,
    };
    let after = |one: &Settled| match one.next {
        Next::Retry { .. } => DeliveryState::Waiting,
        Next::Delivered => DeliveryState::Delivered,
        Next::Dead { .. } => DeliveryState::Dead,
    };
    keys(Step::new(SETTLE), engine, all.iter().map(|one| &one.key))
        .with(all.iter().map(|one| i64::from(one.attempt.number)).collect::<Vec<_>>())
        .with(all.iter().map(|one| codec::from_attempt(&one.attempt)).collect::<Vec<_>>())
        .with(all.iter().map(|one| number(&DeliveryState::ALL, after(one))).collect::<Vec<_>>())
        .with(all.iter().map(due).collect::<Vec<_>>())
        .with(all.iter().map(cause).collect::<Vec<_>>())
        .with(all.iter().map(|one| one.ordered).collect::<Vec<_>>())
}

fn give_up<'a>(engine: &Engine, all: &'a [GivenUp]) -> Step<'a> {
    keys(Step::new(GIVE_UP), engine, all.iter().map(|one| &one.key))
        .with(all.iter().map(|one| codec::text(&one.cause)).collect::<Vec<_>>())
        .with(all.iter().map(|one| one.ordered).collect::<Vec<_>>())
}

const BEGIN: &str = "SELECT hw_begin($1, $2)";
const DESTINATIONS: &str = "INSERT INTO destination(name) \
    SELECT n FROM unnest($1::text[]) n ORDER BY n ON CONFLICT DO NOTHING";
const OUTCOMES: &str = "INSERT INTO outcome \
    SELECT u.id, u.epoch, u.state, u.reason, u.rulings, u.source, u.due, u.tries, 0 \
    FROM unnest($1::bigint[], $2::int[], $3::smallint[], $4::text[], $5::bytea[], $6::text[], $7::bigint[], \
    $8::int[], $9::boolean[]) u(id, epoch, state, reason, rulings, source, due, tries, first) \
    WHERE u.first OR EXISTS(SELECT FROM event e WHERE e.id = u.id AND e.epoch = u.epoch) \
    ON CONFLICT (id, epoch) DO UPDATE SET state = excluded.state, reason = excluded.reason, \
    rulings = excluded.rulings, source = excluded.source, due = excluded.due, tries = excluded.tries";
const WAITING: &str = "INSERT INTO waiting \
    SELECT u.id, u.epoch, u.dest, u.due, u.tries, u.attempts, u.key, false, u.replayed, u.payload \
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::int[], $7::bytea[], $8::boolean[], \
    $9::bytea[]) u(id, epoch, dest, due, tries, attempts, key, replayed, payload) ON CONFLICT DO NOTHING";
const ENDED: &str = "INSERT INTO delivery SELECT u.id, u.epoch, u.dest, u.state, u.due, u.tries, u.attempts, u.cause, \
    u.key, u.replayed, u.payload, u.first \
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::int[], $7::bytea[], $8::boolean[], \
    $9::bytea[], $10::smallint[], $11::text[], $12::bytea[]) \
    u(id, epoch, dest, due, tries, attempts, key, replayed, payload, state, cause, first) ON CONFLICT DO NOTHING";
const ATTEMPTS: &str = "INSERT INTO attempt SELECT u.id, u.epoch, u.dest, u.number, u.data \
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::bytea[]) u(id, epoch, dest, number, data) \
    ON CONFLICT DO NOTHING";
const FORGET: &str = "DELETE FROM plugin_state s USING unnest($1::text[], $2::bytea[]) u(plugin, key) \
    WHERE s.plugin = u.plugin AND s.key = u.key";
const KEEP: &str = "INSERT INTO plugin_state SELECT u.plugin, u.key, u.number, u.bytes, u.expires \
    FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[]) u(plugin, key, number, bytes, expires) \
    ON CONFLICT (plugin, key) DO UPDATE SET number = excluded.number, bytes = excluded.bytes, expires = excluded.expires";
const DELIVER: &str = "SELECT u.id, u.epoch, u.dest, r.is_head, r.next_id, r.next_epoch \
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::int[], $6::int[], $7::bytea[], $8::boolean[], \
    $9::bytea[]) u(id, epoch, dest, due, tries, attempts, key, replayed, payload), \
    LATERAL hw_deliver(u.id, u.epoch, u.dest, u.due, u.tries, u.attempts, u.key, u.replayed, u.payload) r";
const SETTLE: &str = "SELECT u.id, u.epoch, u.dest, false, r.next_id, r.next_epoch \
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::bigint[], $5::bytea[], $6::smallint[], $7::bigint[], \
    $8::text[], $9::boolean[]) u(id, epoch, dest, number, data, after, due, cause, ordered), \
    LATERAL hw_settle(u.id, u.epoch, u.dest, u.number, u.data, u.after, u.due, u.cause, u.ordered) r";
const GIVE_UP: &str = "SELECT u.id, u.epoch, u.dest, false, r.next_id, r.next_epoch \
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::boolean[]) u(id, epoch, dest, cause, ordered), \
    LATERAL hw_give_up(u.id, u.epoch, u.dest, u.cause, u.ordered) r";
