//! What the parts of the engine share: connections, the own epoch, and who is told of what.
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, watch};
use tokio_postgres::Error;

use hookwright_model::EventId;
use hookwright_model::clock::Clock;
use hookwright_store::{Handoff, Room, StoreError};

use super::append::Appends;
use super::apply::Op;
use super::connection::{Connection, Connector, Link};
use super::error::{self, Kind};
use super::lease::Taken;

/// Connections for reads. What a caller asks waits behind what others asked on the same one.
const READERS: usize = 3;
/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// The engine behind the face.
pub(crate) struct Engine {
    pub(crate) connector: Arc<Connector>,
    /// For events on their way in.
    pub(crate) appending: Link,
    /// For outcomes and attempts, one batch after the other.
    pub(crate) applying: Link,
    /// For the lease and what is short and rare.
    pub(crate) side: Link,
    readers: [Link; READERS],
    next_reader: AtomicUsize,
    pub(crate) epoch: i32,
    /// The node in the ids of this epoch's events.
    pub(crate) node: u64,
    nodes: HashMap<i32, u64>,
    epochs: HashMap<u64, i32>,
    pub(crate) clock: Clock,
    pub(crate) handoff: Arc<dyn Handoff>,
    /// The last event that is committed: none will come to lie before it.
    pub(crate) last: Mutex<EventId>,
    /// The last row key that was given to an event, committed or not.
    pub(crate) given: AtomicI64,
    /// Every event up to this row key has an outcome.
    pub(crate) routed_to: AtomicI64,
    /// A commit may have happened that nobody was told of: its events have to be looked for.
    pub(crate) unseen: AtomicBool,
    /// Days that have partitions, as days since 1970.
    pub(crate) days: Mutex<BTreeSet<i64>>,
    pub(crate) appends: Appends,
    pub(crate) ops: RwLock<Option<mpsc::UnboundedSender<Op>>>,
    /// Bytes of what waits to be recorded.
    pub(crate) unrecorded: AtomicUsize,
    /// Told when something has left the queue of outcomes, and at the close.
    pub(crate) room: Room,
    closed: AtomicBool,
    healthy: AtomicBool,
    died: watch::Sender<Option<String>>,
}

impl Engine {
    pub(crate) fn new(
        connector: Arc<Connector>,
        taken: &Taken,
        (clock, handoff): (Clock, Arc<dyn Handoff>),
        (appends, ops): (Appends, mpsc::UnboundedSender<Op>),
    ) -> Self {
        let link = || Link::new(Arc::clone(&connector));
        let nodes: HashMap<i32, u64> = taken.numbers.iter().copied().collect();
        let epochs = nodes.iter().map(|(epoch, node)| (*node, *epoch)).collect();
        let node = nodes.get(&taken.epoch).copied().unwrap_or_default();
        let last_node = nodes.get(&taken.last_epoch).copied().unwrap_or(node);
        Self {
            appending: link(),
            applying: link(),
            side: link(),
            readers: std::array::from_fn(|_| link()),
            next_reader: AtomicUsize::new(0),
            epoch: taken.epoch,
            node,
            nodes,
            epochs,
            clock,
            handoff,
            last: Mutex::new(EventId::new(taken.last_row, last_node)),
            given: AtomicI64::new(taken.last_row),
            routed_to: AtomicI64::new(taken.routed_to),
            unseen: AtomicBool::new(false),
            days: Mutex::default(),
            appends,
            ops: RwLock::new(Some(ops)),
            unrecorded: AtomicUsize::new(0),
            room: Room::default(),
            closed: AtomicBool::new(false),
            healthy: AtomicBool::new(true),
            died: watch::Sender::new(None),
            connector,
        }
    }

    /// A connection for a read.
    pub(crate) async fn reader(&self) -> Result<Arc<Connection>, StoreError> {
        let place = self.next_reader.fetch_add(1, Ordering::Relaxed) % READERS;
        self.readers[place].get().await.map_err(|error| error::failed(&error))
    }

    /// The event's id, where the epoch is known, as it is from the start of this host on.
    pub(crate) fn id(&self, row: i64, epoch: i32) -> EventId {
        EventId::new(row, self.nodes.get(&epoch).copied().unwrap_or_default())
    }

    /// Row key and epoch of an event; none where it is of another database.
    pub(crate) fn place(&self, id: EventId) -> Option<(i64, i32)> {
        self.epochs.get(&id.node()).map(|epoch| (id.row(), *epoch))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Refuses what comes from now on. False where it did so before.
    pub(crate) fn shut(&self) -> bool {
        let first = !self.closed.swap(true, Ordering::SeqCst);
        self.appends.shut();
        self.ops.write().take();
        self.room.changed();
        first
    }

    /// This host can't continue: another one has the database.
    pub(crate) fn die(&self, why: &str) {
        self.healthy.store(false, Ordering::SeqCst);
        self.died.send_if_modified(|told| {
            let first = told.is_none();
            if first {
                tracing::error!(why, "the store can't continue");
                *told = Some(why.to_owned());
            }
            first
        });
    }

    pub(crate) fn death(&self) -> watch::Receiver<Option<String>> {
        self.died.subscribe()
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.died.borrow().is_some()
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::SeqCst) && self.connector.is_reachable()
    }

    /// Whether writing works, apart from connections.
    pub(crate) fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy && !self.is_dead(), Ordering::SeqCst);
    }

    /// What an error means for the store as a whole; answers its kind.
    pub(crate) fn look_at(&self, error: &Error) -> Kind {
        let kind = error::kind(error);
        if kind == Kind::Fenced {
            self.die(error::FENCED_TEXT);
        }
        kind
    }

    /// Makes partitions for the days of these row keys, where there are none.
    pub(crate) async fn need_days(&self, on: &Connection, rows: [i64; 2]) -> Result<(), Error> {
        for day in day_of(rows[0])..=day_of(rows[1]) {
            if self.days.lock().contains(&day) {
                continue;
            }
            on.query(ADD_DAY, &[&day]).await?;
            self.days.lock().insert(day);
        }
        Ok(())
    }
}

const ADD_DAY: &str = "SELECT hw_add_day($1)";

/// The day of a row key, as days since 1970.
pub(crate) fn day_of(row: i64) -> i64 {
    (row >> 16) / DAY_MS
}
