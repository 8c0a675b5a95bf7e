//! Lanes against real sockets and a store in memory.
mod auth;
mod batch;
mod behaviour;
mod clock;
mod control;
mod health;
mod jsonl;
mod model;
mod scale;
mod store;
mod timing;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue};

use self::store::TestStore;
use super::{Handle, Options, StartError, start};
use hookwright_model::clock::Clock;
use hookwright_model::retry::Policy;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Delivery, Event, EventId, Name};
use hookwright_settings::{Destination, PostOptions, To, Transport};
use hookwright_testkit::receiver::Receiver;

/// What tests call the time at their start.
pub(super) const START_MS: u64 = 1_700_000_000_000;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

/// The n-th event, for one destination, due at once.
pub(super) fn delivery(number: u64, destination: &str, body: impl Into<Bytes>) -> Delivery {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    let row = EventId::first_row_at(START_MS) + i64::try_from(number).expect("small");
    let event = Event {
        id: EventId::new(row, 7),
        received_ms: START_MS,
        source: name("shop"),
        kind: "".into(),
        headers,
        body: body.into(),
    };
    Delivery {
        event: Arc::new(event),
        destination: name(destination),
        payload: None,
        due_ms: START_MS,
        order_key: None,
        tries: 0,
        attempts: 0,
        replayed: false,
    }
}

fn deliveries(range: std::ops::Range<u64>, destination: &str) -> Vec<Delivery> {
    range.map(|number| delivery(number, destination, format!("{{\"n\": {number}}}"))).collect()
}

/// Retries after 10 ms, so that a test in real time is short, and is never left alone.
fn to(receiver: &Receiver) -> Destination {
    Destination {
        adaptive: false,
        breaker: None,
        to: To::Post(Box::new(PostOptions {
            transport: Transport::to_any_address(),
            ..PostOptions::new(receiver.url())
        })),
        policy: Policy {
            base: Duration::from_millis(10),
            factor: 1.0,
            jitter: 0.0,
            ..Policy::default()
        },
        ..Destination::new(receiver.url())
    }
}

/// With its request set up otherwise.
fn posting(mut options: Destination, change: impl FnOnce(&mut PostOptions)) -> Destination {
    match &mut options.to {
        To::Post(post) => change(post),
        To::Lines(_) => panic!("it is posted to"),
    }
    options
}

/// Waits for what no event tells.
async fn eventually(mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it comes to pass");
}

type Destinations = HashMap<Name, Destination>;

fn one(options: Destination) -> Destinations {
    HashMap::from([(name("a"), options)])
}

/// A store in memory answers at once.
fn begin(
    options: Options,
    store: &Arc<TestStore>,
    clock: Clock,
    tasks: &Tasks,
) -> Result<Handle, StartError> {
    start(options, store.clone(), store.clone(), clock, tasks.clone())
        .now_or_never()
        .expect("nothing is waited for")
}

struct Bench {
    store: Arc<TestStore>,
    handle: Handle,
    tasks: Tasks,
}

impl Bench {
    fn start(destinations: Destinations) -> Self {
        Self::start_on(TestStore::prompt(), destinations)
    }

    fn start_on(store: Arc<TestStore>, destinations: Destinations) -> Self {
        Self::start_with(store, Options { destinations, ..Options::default() })
    }

    fn start_with(store: Arc<TestStore>, options: Options) -> Self {
        let tasks = Tasks::new();
        let handle = begin(options, &store, store.clock(), &tasks).expect("good settings");
        store.hand_to(handle.clone());
        Self { store, handle, tasks }
    }

    /// Waits until all that was ever added to the destination is delivered.
    async fn all_delivered(&self, destination: &str) {
        self.store.until(|store| store.all_delivered(destination)).await;
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}
