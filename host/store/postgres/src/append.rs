//! Events on their way in: gathered while a commit is under way, and committed together in one flight.
//!
//! One flight is under way at a time, so the order of ids is the order of commits: nothing ever comes to lie before an
//! event that can be seen.
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::{Error, Row};

use hookwright_model::clock::millis;
use hookwright_model::{Event, EventId, Name};
use hookwright_store::{AppendError, AppendFuture, Appended, NewEvent};

use super::codec;
use super::connection::{Connection, Step};
use super::engine::Engine;
use super::error::{self, Kind};

/// Events of one commit.
const MOST: usize = 512;
/// Bytes of one commit, unless a single event is larger.
const MOST_BYTES: usize = 8 << 20;
/// Events that may wait.
const WAITING: usize = 16 << 10;
/// Bytes that may wait.
const WAITING_BYTES: usize = 64 << 20;
/// A body that is larger fits into no row, with what stands around it.
const LARGEST: usize = 256 << 20;
/// How long a commit whose fate is not known is asked for.
const ASK: Duration = Duration::from_secs(10);
/// After a failed connection, events are refused for so long without another try.
const PAUSE: Duration = Duration::from_millis(500);
/// Tries of a batch that another transaction was in the way of.
const TRIES: u32 = 5;

/// An event that waits to be committed, and who waits for it.
struct Incoming {
    event: NewEvent,
    size: usize,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// The queue of events on their way in.
pub(crate) struct Appends {
    queue: RwLock<Option<mpsc::UnboundedSender<Incoming>>>,
    waiting: AtomicUsize,
    bytes: AtomicUsize,
}

/// The other end of the queue.
pub(crate) struct Incomings(mpsc::UnboundedReceiver<Incoming>);

impl Appends {
    pub(crate) fn new() -> (Self, Incomings) {
        let (queue, incoming) = mpsc::unbounded_channel();
        let (waiting, bytes) = Default::default();
        (Self { queue: RwLock::new(Some(queue)), waiting, bytes }, Incomings(incoming))
    }

    pub(crate) fn fullness(&self) -> f32 {
        let share =
            |has: &AtomicUsize, most: usize| has.load(Ordering::Relaxed) as f32 / most as f32;
        share(&self.waiting, WAITING).max(share(&self.bytes, WAITING_BYTES))
    }

    pub(crate) fn shut(&self) {
        self.queue.write().take();
    }

    pub(crate) fn append(&self, event: NewEvent) -> AppendFuture {
        let refused = |why| -> AppendFuture { Box::pin(std::future::ready(Err(why))) };
        if event.body.len() > LARGEST {
            return refused(AppendError::TooLarge);
        }
        if self.fullness() >= 1.0 {
            return refused(AppendError::Busy);
        }
        let headers = event.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        let size = 200 + event.body.len() + headers.sum::<usize>();
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.read();
        let Some(queue) = &*queue else { return refused(AppendError::Closed) };
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
        if queue.send(Incoming { event, size, answer }).is_err() {
            return refused(AppendError::Closed);
        }
        Box::pin(async { answered.await.unwrap_or(Err(AppendError::Closed)) })
    }

    fn left(&self, batch: &[Incoming]) {
        self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        let bytes = batch.iter().map(|one| one.size).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Commits what comes until the queue is shut and empty.
pub(crate) async fn run(engine: Arc<Engine>, mut queue: Incomings) {
    let mut gathered = Vec::new();
    let mut away = None::<(Instant, AppendError)>;
    while queue.0.recv_many(&mut gathered, MOST).await > 0 {
        while !gathered.is_empty() {
            let mut bytes = 0;
            let fits = |one: &&Incoming| {
                bytes += one.size;
                bytes <= MOST_BYTES
            };
            let count = gathered.iter().take_while(fits).count().max(1);
            let batch: Vec<Incoming> = gathered.drain(..count).collect();
            engine.appends.left(&batch);
            if let Some((_, why)) = away.as_ref().filter(|(since, _)| since.elapsed() < PAUSE) {
                refuse(batch, why);
                continue;
            }
            away = None;
            let batch = Batch::new(&engine, batch);
            match batch.commit(&engine).await {
                Ok(fates) => batch.answer(&engine, &fates),
                Err(why) => {
                    if !engine.connector.is_reachable() {
                        away = Some((Instant::now(), why.clone()));
                    }
                    refuse(batch.incoming, &why);
                }
            }
        }
    }
}

fn refuse(batch: Vec<Incoming>, why: &AppendError) {
    for one in batch {
        let _ = one.answer.send(Err(why.clone()));
    }
}

/// Events of one commit, with their row keys.
struct Batch {
    incoming: Vec<Incoming>,
    /// By place: the row key, where it is not the same as an earlier one of the batch.
    rows: Vec<i64>,
    /// By place: the earlier one of the batch with the same key.
    same: Vec<Option<usize>>,
    now_ms: u64,
}

impl Batch {
    fn new(engine: &Engine, incoming: Vec<Incoming>) -> Self {
        let now_ms = engine.clock.now_ms();
        let mut last = engine.given.load(Ordering::SeqCst);
        let mut keys: HashMap<(&Name, [u8; 16]), usize> = HashMap::new();
        let (mut rows, mut same) = (Vec::new(), Vec::new());
        for (place, Incoming { event, .. }) in incoming.iter().enumerate() {
            last = EventId::next_row(last, now_ms);
            rows.push(last);
            let first = event
                .dedupe
                .as_ref()
                .map(|dedupe| *keys.entry((&event.source, dedupe.key)).or_insert(place));
            same.push(first.filter(|first| *first != place));
        }
        // Also where the commit fails: it may have happened all the same.
        engine.given.store(last, Ordering::SeqCst);
        Self { incoming, rows, same, now_ms }
    }

    /// Those that may get a row.
    fn own(&self) -> impl Iterator<Item = (i64, &NewEvent)> + Clone {
        let all = self.incoming.iter().zip(&self.rows).zip(&self.same);
        all.filter(|(_, same)| same.is_none()).map(|((one, row), _)| (*row, &one.event))
    }

    /// Answers the first event of the key of each, by place: its own row key where it is new.
    async fn commit(&self, engine: &Engine) -> Result<Vec<EventId>, AppendError> {
        let failed = |error: &Error| error::append_failed(&error::failed(error));
        for _ in 0..TRIES {
            let connection = engine.appending.get().await.map_err(|error| failed(&error))?;
            let error = match self.fly(engine, &connection).await {
                Ok(rows) => return Ok(self.fates(engine, rows.last())),
                Err(error) => error,
            };
            match engine.look_at(&error) {
                Kind::Lost => {
                    engine.appending.reset().await;
                    return self.ask(engine).await.unwrap_or_else(|| Err(failed(&error)));
                }
                Kind::Partition => engine.days.lock().clear(),
                Kind::Again => {}
                Kind::Fenced | Kind::Full | Kind::Refused => return Err(failed(&error)),
            }
        }
        Err(AppendError::Failed("the database has had others in the way for too long".into()))
    }

    async fn fly(&self, engine: &Engine, on: &Connection) -> Result<Vec<Vec<Row>>, Error> {
        let ends = [self.rows.first(), self.rows.last()].map(|row| row.copied().unwrap_or(0));
        engine.need_days(on, ends).await?;
        let headers: Vec<_> =
            self.own().map(|(_, event)| codec::from_headers(&event.headers)).collect();
        let ids: Vec<i64> = self.own().map(|(row, _)| row).collect();
        let sources: Vec<&str> = self.own().map(|(_, event)| event.source.as_str()).collect();
        let kinds: Vec<&[u8]> = self.own().map(|(_, event)| event.kind.as_bytes()).collect();
        let bodies: Vec<&[u8]> = self.own().map(|(_, event)| &event.body[..]).collect();
        let keyed = self.own().any(|(_, event)| event.dedupe.is_some());
        let received = self.now_ms.cast_signed();
        let insert = Step::new(if keyed { INSERT_KEYED } else { INSERT });
        let insert = insert.with(engine.epoch).with(received).with(ids).with(sources).with(kinds);
        let insert = insert.with(headers).with(bodies);
        let mut steps = vec![Step::new(FENCE).with(engine.epoch)];
        if keyed {
            let keys: Vec<Option<&[u8]>> = self
                .own()
                .map(|(_, event)| event.dedupe.as_ref().map(|dedupe| &dedupe.key[..]))
                .collect();
            steps.push(self.keys(Step::new(REMEMBER).with(engine.epoch).with(received), true));
            steps.push(insert.with(keys));
            steps.push(self.keys(Step::new(KNOWN), false));
        } else {
            steps.push(insert);
        }
        on.transaction("BEGIN", &steps).await
    }

    fn keys<'a>(&'a self, step: Step<'a>, expiry: bool) -> Step<'a> {
        let keyed =
            self.own().filter_map(|(row, event)| Some((row, event, event.dedupe.as_ref()?)));
        let rows: Vec<i64> = keyed.clone().map(|(row, ..)| row).collect();
        let sources: Vec<&str> = keyed.clone().map(|(_, event, _)| event.source.as_str()).collect();
        let keys: Vec<&[u8]> = keyed.clone().map(|(.., dedupe)| &dedupe.key[..]).collect();
        let step = step.with(rows).with(sources).with(keys);
        if !expiry {
            return step;
        }
        let until = |window| self.now_ms.saturating_add(millis(window)).min(i64::MAX as u64);
        let expires: Vec<i64> =
            keyed.map(|(.., dedupe)| until(dedupe.window).cast_signed()).collect();
        step.with(expires)
    }

    /// By place, from the rows of `KNOWN`.
    fn fates(&self, engine: &Engine, known: Option<&Vec<Row>>) -> Vec<EventId> {
        let known = known.into_iter().flatten().filter(|row| row.len() == 3);
        let known: HashMap<i64, EventId> =
            known.map(|row| (row.get(0), engine.id(row.get(1), row.get(2)))).collect();
        let places = self.rows.iter().zip(&self.same);
        let own = |row: &i64| known.get(row).copied().unwrap_or(EventId::new(*row, engine.node));
        places.map(|(row, same)| own(same.map_or(row, |place| &self.rows[place]))).collect()
    }

    /// The connection broke while the commit was under way: looks what has become of it, once the server's end of the
    /// connection is over too. None where it has not happened.
    async fn ask(&self, engine: &Engine) -> Option<Result<Vec<EventId>, AppendError>> {
        let until = Instant::now() + ASK;
        let rows: Vec<i64> = self.own().map(|(row, _)| row).collect();
        loop {
            let asked = async {
                let on = engine.appending.get().await?;
                let steps = [
                    Step::new(ALONE),
                    Step::new(THERE).with(engine.epoch).with(&rows[..]),
                    self.keys(Step::new(KNOWN), false),
                ];
                on.transaction("BEGIN; SET LOCAL lock_timeout = '5s'", &steps).await
            };
            match asked.await {
                // All or nothing was committed. Of duplicates alone it can't be told: their senders try again.
                Ok(answers) if answers[1].is_empty() => return None,
                Ok(answers) => return Some(Ok(self.fates(engine, answers.last()))),
                Err(error) if Instant::now() < until && engine.look_at(&error) != Kind::Fenced => {
                    if error::kind(&error) == Kind::Lost {
                        engine.appending.reset().await;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(_) => {
                    // Should they be there, they are found as events to be routed.
                    engine.unseen.store(true, Ordering::SeqCst);
                    let why = "whether the database has committed the event is not known";
                    return Some(Err(AppendError::Failed(why.into())));
                }
            }
        }
    }

    /// Answers all, and hands the new ones on.
    fn answer(self, engine: &Engine, fates: &[EventId]) {
        if let Some(last) = self.rows.last() {
            *engine.last.lock() = EventId::new(*last, engine.node);
        }
        let mut durable = Vec::with_capacity(self.incoming.len());
        let own = self.rows.into_iter().zip(self.same).zip(fates);
        for (one, ((row, same), id)) in self.incoming.into_iter().zip(own) {
            if same.is_some() || *id != EventId::new(row, engine.node) {
                let _ = one.answer.send(Ok(Appended::Duplicate(*id)));
                continue;
            }
            let _ = one.answer.send(Ok(Appended::New(*id)));
            let NewEvent { source, kind, headers, body, dedupe: _ } = one.event;
            let received_ms = self.now_ms;
            durable.push(Arc::new(Event { id: *id, received_ms, source, kind, headers, body }));
        }
        if !durable.is_empty() {
            engine.handoff.durable(durable);
        }
    }
}

const FENCE: &str = "SELECT hw_fence($1)";
/// Waits for all transactions of the own epoch.
const ALONE: &str = "SELECT pg_advisory_xact_lock(1213682514, hashtext(current_schema()))";
const INSERT: &str = "INSERT INTO event SELECT u.id, $1::int, $2::bigint, u.source, u.kind, u.headers, u.body \
    FROM unnest($3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[]) u(id, source, kind, headers, body)";
const INSERT_KEYED: &str = "INSERT INTO event \
    SELECT u.id, $1::int, $2::bigint, u.source, u.kind, u.headers, u.body \
    FROM unnest($3::bigint[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[]) \
    u(id, source, kind, headers, body, key) WHERE u.key IS NULL OR EXISTS(SELECT FROM dedupe d \
    WHERE d.source = u.source AND d.key = u.key AND d.id = u.id AND d.epoch = $1)";
/// In the order of the keys, so that two hosts never wait for one another.
const REMEMBER: &str = "INSERT INTO dedupe SELECT u.source, u.key, u.id, $1::int, u.expires \
    FROM unnest($3::bigint[], $4::text[], $5::bytea[], $6::bigint[]) u(id, source, key, expires) \
    ORDER BY u.source, u.key ON CONFLICT (source, key) DO UPDATE \
    SET id = excluded.id, epoch = excluded.epoch, expires = excluded.expires WHERE dedupe.expires <= $2::bigint";
const KNOWN: &str = "SELECT u.id, d.id, d.epoch FROM unnest($1::bigint[], $2::text[], $3::bytea[]) u(id, source, key) \
    JOIN dedupe d ON d.source = u.source AND d.key = u.key";
const THERE: &str = "SELECT id FROM event WHERE epoch = $1 AND id = ANY($2::bigint[])";
