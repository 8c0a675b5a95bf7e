//! Rows of deliveries: new ones, and new rounds of those that were there before.
use rusqlite::params;

use super::applier::{Applier, attempt_bytes};
use super::order::OrderPosition;
use super::settle::{after, is_whole};
use crate::index::counts::Delta;
use crate::index::ops::RoutedOp;
use crate::index::schema::BEHIND;
use crate::journal::segment::Locator;
use hookwright_model::{Delivery, DeliveryState};
use hookwright_store::Settled;

impl Applier<'_> {
    pub(crate) fn deliver(
        &mut self,
        op: &mut RoutedOp,
        settled: &[Settled],
        delta: &mut Delta,
    ) -> rusqlite::Result<()> {
        op.behind.clear();
        for (place, delivery) in op.routed.deliveries.iter_mut().enumerate() {
            let payload = op.payloads.get(place).copied().flatten();
            let own = |one: &&Settled| one.key.destination == delivery.destination;
            let whole = settled.iter().filter(|one| is_whole(one)).find(own);
            if self.deliver_one(delivery, payload, whole, delta)? {
                op.behind.push(place);
            }
        }
        Ok(())
    }

    /// True where it has to wait for an earlier one of its order key.
    fn deliver_one(
        &mut self,
        delivery: &mut Delivery,
        payload: Option<Locator>,
        whole: Option<&Settled>,
        delta: &mut Delta,
    ) -> rusqlite::Result<bool> {
        let row = delivery.event.id.row();
        let dest = self.destinations.number(&delivery.destination)?;
        delta.set_name(dest, &delivery.destination);
        let due = delivery.due_ms.min(i64::MAX as u64) as i64;
        let segment = payload.map(|at| at.segment);
        let offset = payload.map(|at| at.offset as i64);
        let length = payload.map(|at| at.length);
        let key = delivery.order_key.as_deref();
        let behind = key.map_or(Ok(false), |key| self.is_taken(dest, key, row))?;
        let (next, cause) = whole.map_or((DeliveryState::Waiting, None), |one| after(&one.next));
        let first = whole.map(|one| attempt_bytes(&mut self.buffer, &one.attempt));
        let made = u32::from(whole.is_some());
        let inserted = self.statements.insert_delivery.execute(params![
            row,
            dest,
            if behind { BEHIND } else { next as i64 },
            due,
            delivery.tries + made,
            delivery.attempts + made,
            cause,
            key,
            segment,
            offset,
            length,
            first,
            delivery.replayed
        ])?;
        if inserted == 1 {
            delta.moved(dest, None, Some(next));
            return Ok(behind);
        }
        // A replay: the row starts a new round, its attempts go on counting.
        let (state, attempts) = self.delivery(row, dest)?.unwrap_or((DeliveryState::Waiting, 0));
        let former = self.order_position(row, dest)?;
        let is_head = former.as_ref().is_some_and(|former| former.is_head_of(key));
        let behind = behind && !is_head;
        self.statements.revive_delivery.execute(params![
            row,
            dest,
            due,
            delivery.tries,
            key,
            segment,
            offset,
            length,
            if behind { BEHIND } else { 0 },
        ])?;
        delivery.attempts = attempts;
        delta.moved(dest, Some(state), Some(DeliveryState::Waiting));
        if let Some(OrderPosition { key: Some(former), .. }) = former {
            self.let_next_go(dest, &former, &delivery.destination, delta)?;
        }
        whole.map_or(Ok(()), |one| self.settle(one, delta))?;
        Ok(behind)
    }
}
