//! Outcomes, attempts and what people change, recorded one batch after the other in the order in which they came.
//!
//! A batch does not wait for the disk: a crash of the database repeats work and loses none. What was recorded and may
//! not have reached the disk is kept in memory for a while, and recorded again after such a crash.
use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Error, Row};

use hookwright_model::{Delivery, DeliveryKey, DeliveryState};
use hookwright_store::{GivenUp, Next, Routed, Settled, StoreError};

use super::batch::{Batch, Steps};
use super::claims;
use super::connection::{Connection, Step};
use super::engine::Engine;
use super::error::{self, Kind};

/// What one batch takes in at the most, where that much waits.
const MOST: usize = 2_048;
/// Bytes that may wait before routing is held up.
pub(crate) const ROOM: usize = 64 << 20;
/// The longest pause between two tries while the database can't be had.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Something to be done in its turn.
pub(crate) enum Op {
    /// With whether its plain first deliveries have been handed on.
    Routed(Box<Routed>, bool),
    Settled(Settled),
    GivenUp(GivenUp),
    /// To be told once all before is recorded.
    Barrier(oneshot::Sender<Result<(), StoreError>>),
    /// A transaction of its own between two batches. Dropped where the database can't be had.
    Job(Job),
}

/// What a person or retention wants, on the connection of the batches.
pub(crate) type Job = Box<dyn FnOnce(Arc<Connection>) -> Running + Send>;
/// A job at work.
pub(crate) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// About how many bytes it takes in memory.
pub(crate) fn size(op: &Op) -> usize {
    let payload = |one: &Delivery| {
        let body = one.payload.as_ref().and_then(|payload| payload.body.as_ref());
        200 + body.map_or(0, |body| body.len())
    };
    match op {
        Op::Routed(routed, _) => {
            let state = routed.state_rows.iter();
            let state = state.filter_map(|row| row.value.as_ref()).map(|value| 64 + value.size());
            300 + routed.deliveries.iter().map(payload).sum::<usize>() + state.sum::<usize>()
        }
        Op::Settled(_) => 500,
        Op::GivenUp(_) => 200,
        Op::Barrier(_) | Op::Job(_) => 0,
    }
}

/// Records what comes until the queue is shut and empty.
pub(crate) struct Applier {
    engine: Arc<Engine>,
    queue: mpsc::UnboundedReceiver<Op>,
    /// Taken from the queue.
    pending: VecDeque<Op>,
    /// The number of the last batch.
    number: i64,
    /// The connection on which it is known what is recorded.
    known_on: u64,
    /// Recorded, but maybe not on the disk of the server.
    late: VecDeque<(Instant, Batch)>,
    /// After so long a recorded batch is on the disk.
    settles_in: Duration,
}

impl Applier {
    pub(crate) fn new(
        engine: Arc<Engine>,
        queue: mpsc::UnboundedReceiver<Op>,
        settles_in: Duration,
    ) -> Self {
        let (pending, number, known_on, late) = Default::default();
        Self { engine, queue, pending, number, known_on, late, settles_in }
    }

    pub(crate) async fn run(mut self) {
        loop {
            if self.pending.is_empty() {
                let mut came = Vec::new();
                if self.queue.recv_many(&mut came, MOST).await == 0 {
                    return;
                }
                self.pending.extend(came);
            }
            self.turn().await;
        }
    }

    /// A batch, those who wait for it, and the job behind it.
    async fn turn(&mut self) {
        let mut batch = Batch::new(self.number + 1);
        let (mut barriers, mut job, mut bytes) = (Vec::new(), None, 0);
        while batch.len() < MOST
            && let Some(op) = self.pending.pop_front()
        {
            bytes += size(&op);
            match op {
                Op::Routed(routed, handed) => batch.route(*routed, handed),
                Op::Settled(settled) => batch.settle(settled),
                Op::GivenUp(given_up) => batch.give_up(given_up),
                Op::Barrier(barrier) => barriers.push(barrier),
                Op::Job(next) => {
                    job = Some(next);
                    break;
                }
            }
        }
        if batch.len() > 0 {
            self.number += 1;
            let recorded = self.record(&batch, &mut barriers).await;
            self.engine.unrecorded.fetch_sub(bytes, Ordering::Relaxed);
            self.engine.room.changed();
            if let Err(why) = recorded {
                barriers.into_iter().for_each(|one| drop(one.send(Err(why.clone()))));
                return;
            }
            self.keep(batch);
        }
        let stands = self.stands().await;
        barriers.into_iter().for_each(|one| drop(one.send(stands.clone())));
        if let Some(job) = job
            && stands.is_ok()
            && let Ok(connection) = self.connection().await
        {
            job(connection).await;
        }
    }

    /// Whether what was recorded is there: a server that has crashed meanwhile may have lost the last of it.
    async fn stands(&mut self) -> Result<(), StoreError> {
        if self.engine.is_dead() {
            return Err(StoreError::Failed(error::FENCED_TEXT.into()));
        }
        if self.known_on == 0 {
            return Ok(());
        }
        match self.connection().await {
            Ok(_) => Ok(()),
            Err(error) => {
                if self.engine.look_at(&error) == Kind::Lost {
                    self.engine.applying.reset().await;
                }
                Err(error::failed(&error))
            }
        }
    }

    fn keep(&mut self, batch: Batch) {
        self.late.push_back((Instant::now(), batch));
        while self.late.front().is_some_and(|(since, _)| since.elapsed() > self.settles_in) {
            self.late.pop_front();
        }
    }

    /// Tries until it is recorded and handed on. Those who wait for it are told of the first failure.
    async fn record(
        &mut self,
        batch: &Batch,
        barriers: &mut Vec<oneshot::Sender<Result<(), StoreError>>>,
    ) -> Result<(), StoreError> {
        let mut pause = Duration::from_millis(20);
        let mut told = false;
        loop {
            if self.engine.is_dead() {
                return Err(StoreError::Failed(error::FENCED_TEXT.into()));
            }
            let error = match self.try_record(batch).await {
                Ok(()) => {
                    self.engine.set_healthy(true);
                    return Ok(());
                }
                Err(error) => error,
            };
            let kind = self.engine.look_at(&error);
            if kind == Kind::Lost {
                self.engine.applying.reset().await;
            }
            if kind == Kind::Again && pause < LONGEST_PAUSE {
                tokio::time::sleep(pause).await;
                pause *= 2;
                continue;
            }
            self.engine.set_healthy(kind == Kind::Lost);
            let why = error::failed(&error);
            if !std::mem::replace(&mut told, true) {
                tracing::error!(%why, "what became of events can't be recorded; it is tried again");
            }
            barriers.drain(..).for_each(|one| drop(one.send(Err(why.clone()))));
            self.tell_all(&why);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Tells those who wait behind the batch, who would wait for as long as it does.
    fn tell_all(&mut self, why: &StoreError) {
        while let Ok(op) = self.queue.try_recv() {
            self.pending.push_back(op);
        }
        let pending = std::mem::take(&mut self.pending).into_iter();
        self.pending = pending
            .filter_map(|op| match op {
                Op::Barrier(barrier) => {
                    let _ = barrier.send(Err(why.clone()));
                    None
                }
                // Who wanted it is told by its end.
                Op::Job(_) => None,
                op => Some(op),
            })
            .collect();
    }

    /// The connection, once it is known what of earlier batches is recorded.
    async fn connection(&mut self) -> Result<Arc<Connection>, Error> {
        let connection = self.engine.applying.get().await?;
        let opened = self.engine.applying.opened();
        if opened != self.known_on {
            if self.known_on > 0 {
                self.catch_up(&connection).await?;
            }
            self.known_on = opened;
        }
        Ok(connection)
    }

    /// Records again what a crash of the server has taken back.
    async fn catch_up(&mut self, on: &Connection) -> Result<(), Error> {
        let last = last_recorded(&self.engine, on).await?;
        for (_, batch) in self.late.iter().filter(|(_, batch)| batch.number > last) {
            tracing::warn!(
                batch = batch.number,
                "the database has lost a batch; it is recorded again"
            );
            on.transaction(BEGIN, &batch.statements(&self.engine)).await?;
        }
        let oldest = self.late.front().map_or(self.number, |(_, batch)| batch.number);
        if last + 1 < oldest {
            let why = "the database has lost outcomes that it had recorded: a restart takes them up again";
            self.engine.die(why);
        }
        Ok(())
    }

    async fn try_record(&mut self, batch: &Batch) -> Result<(), Error> {
        let before = self.known_on;
        let on = self.connection().await?;
        // On a new connection: the batch may have been recorded on the one before.
        if before != self.known_on
            && before > 0
            && last_recorded(&self.engine, &on).await? >= batch.number
        {
            let ready = Ready { heads: true, ..Ready::of(batch) };
            hand_on(&self.engine, &on, batch, ready).await;
            return Ok(());
        }
        let statements = batch.statements(&self.engine);
        let answers = on.transaction(BEGIN, &statements).await?;
        let mut ready = Ready::default();
        for rows in &answers[statements.len() - batch.steps.len()..] {
            ready.take(rows);
        }
        hand_on(&self.engine, &on, batch, ready).await;
        Ok(())
    }
}

/// What is due since the batch was recorded. It is read again: a later step of the batch may have ended it.
async fn hand_on(engine: &Engine, on: &Connection, batch: &Batch, ready: Ready) {
    let fresh = batch.fresh.iter().filter(|one| !one.handed && one.attempts.is_empty());
    let waiting = fresh.filter(|one| one.state == DeliveryState::Waiting);
    let mut deliveries: Vec<Delivery> = waiting.map(|one| one.delivery.clone()).collect();
    let mut again = None::<Arc<Connection>>;
    // Nobody would look for what is not handed on now.
    while !engine.is_dead() {
        match ready.load(engine, again.as_deref().unwrap_or(on)).await {
            Ok(due) => {
                deliveries.extend(due);
                break;
            }
            Err(error) => {
                tracing::warn!(%error, "deliveries that are due could not be read; it is tried again");
                engine.applying.reset().await;
                tokio::time::sleep(LONGEST_PAUSE / 10).await;
                again = engine.applying.get().await.ok();
            }
        }
    }
    if !deliveries.is_empty() {
        engine.handoff.ready(deliveries);
    }
}

/// Deliveries that may be due now.
#[derive(Default)]
struct Ready {
    rows: Vec<i64>,
    epochs: Vec<i32>,
    names: Vec<String>,
    known: HashSet<(i64, i32, String)>,
    /// Not these but what is due of their order keys, themselves too.
    heads: bool,
}

impl Ready {
    /// Each once.
    fn add(&mut self, row: i64, epoch: i32, name: &str) {
        if !self.known.insert((row, epoch, name.to_owned())) {
            return;
        }
        self.rows.push(row);
        self.epochs.push(epoch);
        self.names.push(name.to_owned());
    }

    /// From the answer of a step.
    fn take(&mut self, rows: &[Row]) {
        for row in rows {
            let name: &str = row.get(2);
            if row.get(3) {
                self.add(row.get(0), row.get(1), name);
            }
            if let (Some(next), Some(epoch)) = (row.get(4), row.get(5)) {
                self.add(next, epoch, name);
            }
        }
    }

    /// All that the steps of the batch touch.
    fn of(batch: &Batch) -> Self {
        let mut ready = Self::default();
        let mut add = |key: DeliveryKey| ready.add(key.event.row(), 0, &key.destination);
        for steps in &batch.steps {
            match steps {
                Steps::Deliver(all) => all.iter().for_each(|one| add(one.key())),
                Steps::Settle(all) => {
                    let ended = all.iter().filter(|one| !matches!(one.next, Next::Retry { .. }));
                    ended.for_each(|one| add(one.key.clone()));
                }
                Steps::GiveUp(all) => all.iter().for_each(|one| add(one.key.clone())),
            }
        }
        ready
    }

    async fn load(&self, engine: &Engine, on: &Connection) -> Result<Vec<Delivery>, StoreError> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        if !self.heads {
            return claims::load(engine, on, &self.rows, &self.epochs, &self.names).await;
        }
        let mut heads = Self::default();
        let rows = on.query(HEADS, &[&self.rows, &self.names]).await;
        for row in rows.map_err(|error| error::failed(&error))? {
            heads.add(row.get(0), row.get(1), row.get(2));
        }
        claims::load(engine, on, &heads.rows, &heads.epochs, &heads.names).await
    }
}

/// The last batch of this host that is recorded, once no transaction of it is open any more.
async fn last_recorded(engine: &Engine, on: &Connection) -> Result<i64, Error> {
    let steps = [Step::new(ALONE), Step::new(LAST).with(engine.epoch)];
    let answers = on.transaction("BEGIN; SET LOCAL lock_timeout = '5s'", &steps).await?;
    Ok(answers[1].first().map_or(0, |row| row.get(0)))
}

const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit TO off";
/// Waits for all transactions of the own epoch.
const ALONE: &str = "SELECT pg_advisory_xact_lock(1213682514, hashtext(current_schema()))";
const LAST: &str = "SELECT coalesce(max(batch), 0) FROM recorded WHERE epoch = $1";
/// Of each of these deliveries itself and of the others with its order key: those that are due.
const HEADS: &str = "SELECT DISTINCT w.id, w.epoch, w.destination \
    FROM unnest($1::bigint[], $2::text[]) k(id, dest) \
    CROSS JOIN LATERAL (SELECT x.order_key, x.epoch FROM waiting x WHERE x.id = k.id AND x.destination = k.dest \
      UNION ALL SELECT y.order_key, y.epoch FROM delivery y WHERE y.id = k.id AND y.destination = k.dest) o \
    JOIN waiting w ON w.destination = k.dest AND NOT w.behind \
      AND ((w.id = k.id AND w.epoch = o.epoch) OR w.order_key = o.order_key)";
