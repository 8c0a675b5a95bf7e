//! Measures how late a retry starts with a million deliveries waiting: the store and the lanes alone, without the rest of a host.
//!
//! A million deliveries to one destination are due tomorrow. Beside them some
//! go out now; their receiver refuses each once, and it is tried again after two
//! seconds. The log of attempts then says when each second attempt began, and
//! when it was due: two seconds after the first one ended.
#![expect(clippy::print_stdout, reason = "it prints its results")]

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use hookwright_model::clock::Clock;
use hookwright_model::retry::Policy;
use hookwright_model::tasks::Tasks;
use hookwright_model::{Delivery, Event, EventId, EventState, Name};
use hookwright_settings::{Destination, PostOptions, To, Transport};
use hookwright_store::{Appended, Handoff, NewEvent, Routed, Store};
use hookwright_tests::{Answer, Receiver, eventually};
use tokio::sync::{Mutex, mpsc};

const WAIT: Duration = Duration::from_secs(2);
const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Deliveries whose retries are measured, and how many begin in a second.
const MEASURED: usize = 2_000;
const A_SECOND: usize = 200;
/// Events that are appended at the same time.
const AT_ONCE: usize = 512;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut waiting = 1_000_000;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--waiting" => waiting = value.parse()?,
            other => anyhow::bail!("unknown argument `{other}`; there is --waiting N"),
        }
    }
    let bench = Bench::start().await?;
    let began = Instant::now();
    bench.add(waiting, DAY_MS).await?;
    bench.store.recorded().await?;
    println!("{waiting} deliveries wait after {:.0} s", began.elapsed().as_secs_f64());

    let mut ids = Vec::new();
    for _ in 0..MEASURED * 10 / A_SECOND {
        let second = tokio::time::sleep(Duration::from_millis(100));
        ids.extend(bench.add(A_SECOND / 10, 0).await?);
        second.await;
    }
    eventually("all are tried twice", Duration::from_secs(60), || async {
        (bench.receiver.count() >= 2 * ids.len()).then_some(())
    })
    .await;
    let mut late = bench.lateness(&ids).await?;
    late.sort_unstable();
    let at = |share: f64| late[((late.len() - 1) as f64 * share) as usize];
    println!(
        "{} retries began late by {} ms at the median, {} ms at the 99th percentile, {} ms at most",
        late.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

/// Hands deliveries to the lanes, and events to whoever routes them.
struct Hand {
    delivery: OnceLock<hookwright_delivery::Handle>,
    accepted: mpsc::UnboundedSender<Arc<Event>>,
}

impl Handoff for Hand {
    fn durable(&self, events: Vec<Arc<Event>>) {
        for event in events {
            let _ = self.accepted.send(event);
        }
    }

    fn ready(&self, deliveries: Vec<Delivery>) {
        if let Some(delivery) = self.delivery.get() {
            delivery.ready(deliveries);
        }
    }
}

struct Bench {
    store: Arc<dyn Store>,
    accepted: Mutex<mpsc::UnboundedReceiver<Arc<Event>>>,
    receiver: Receiver,
    clock: Clock,
    destination: Name,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn start() -> anyhow::Result<Self> {
        let receiver = Receiver::scripted(|_, headers| {
            let first = headers.get("hookwright-attempt").is_some_and(|number| number == "1");
            Answer::status(if first { 503 } else { 200 })
        })
        .await;
        let (sender, accepted) = mpsc::unbounded_channel();
        let hand = Arc::new(Hand { delivery: OnceLock::new(), accepted: sender });
        let (dir, clock) = (tempfile::tempdir()?, Clock::system());
        let options = hookwright_store_embedded::Options::new(dir.path(), clock.clone());
        let store = hookwright_store_embedded::open(options, hand.clone())?;
        let destination: Name = "busy".parse()?;
        let url = receiver.url().parse()?;
        let transport = Transport::to_any_address();
        let to = Destination {
            to: To::Post(Box::new(PostOptions { transport, ..PostOptions::new(url) })),
            in_flight: 64,
            breaker: None,
            policy: Policy { base: WAIT, factor: 1.0, jitter: 0.0, ..Policy::default() },
            ..Destination::new(receiver.url().parse()?)
        };
        let options = hookwright_delivery::Options {
            destinations: HashMap::from([(destination.clone(), to)]),
            ..hookwright_delivery::Options::default()
        };
        let (queue, conditions, time) = (store.clone(), store.clone(), clock.clone());
        let lanes = hookwright_delivery::start(options, queue, conditions, time, Tasks::new());
        let _ = hand.delivery.set(lanes.await?);
        Ok(Self { store, accepted: Mutex::new(accepted), receiver, clock, destination, _dir: dir })
    }

    /// Accepts and routes so many events, to be delivered after `delay_ms`.
    async fn add(&self, count: usize, delay_ms: u64) -> anyhow::Result<Vec<EventId>> {
        let mut ids = Vec::with_capacity(count);
        let mut accepted = self.accepted.lock().await;
        while ids.len() < count {
            let some = (count - ids.len()).min(AT_ONCE);
            // The rows are written more slowly than events are taken.
            while self.store.fullness() > 0.5 {
                self.store.recorded().await?;
            }
            let appends: Vec<_> = (0..some).map(|_| self.store.append(event())).collect();
            for append in appends {
                match append.await? {
                    Appended::New(id) => ids.push(id),
                    Appended::Duplicate(_) => anyhow::bail!("an event without a key is new"),
                }
            }
            for _ in 0..some {
                let event = accepted.recv().await.context("every event is handed on")?;
                self.route(event, delay_ms)?;
            }
        }
        Ok(ids)
    }

    fn route(&self, event: Arc<Event>, delay_ms: u64) -> anyhow::Result<()> {
        let delivery = Delivery {
            event: event.clone(),
            destination: self.destination.clone(),
            payload: None,
            due_ms: self.clock.now_ms() + delay_ms,
            order_key: None,
            tries: 0,
            attempts: 0,
            replayed: false,
        };
        let routed = Routed {
            event,
            state: EventState::Routed,
            reason: None,
            verdicts: Vec::new(),
            deliveries: vec![delivery],
            first: true,
            state_rows: Vec::new(),
            retry_ms: 0,
            tries: 0,
        };
        Ok(self.store.routed(routed)?)
    }

    /// By how many milliseconds each retry began too late.
    async fn lateness(&self, ids: &[EventId]) -> anyhow::Result<Vec<u64>> {
        let wait_ms = u64::try_from(WAIT.as_millis())?;
        let mut late = Vec::with_capacity(ids.len());
        for id in ids {
            let found = self.store.event(*id).await?.context("the event is there")?;
            let attempts = &found.deliveries[0].attempts;
            ensure!(attempts.len() == 2, "two attempts were made, not {}", attempts.len());
            let due_ms = attempts[0].at_ms + attempts[0].took_us / 1_000 + wait_ms;
            late.push(attempts[1].at_ms.saturating_sub(due_ms));
        }
        Ok(late)
    }
}

fn event() -> NewEvent {
    NewEvent {
        source: "source".parse().expect("a name"),
        kind: "".into(),
        headers: http::HeaderMap::new(),
        body: Bytes::from_static(&[b'x'; 200]),
        dedupe: None,
    }
}
