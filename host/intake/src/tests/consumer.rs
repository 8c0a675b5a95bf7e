//! A way in beside HTTP, played: a consumer that pulls messages from a broker and hands them in.
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::Instant;

use super::store::FaultyStore;
use crate::{Candidate, Class, Intake, Options, Source};
use hookwright_model::Rate;
use hookwright_settings::{Dedupe, Selector, SourceOptions};
use hookwright_store::AppendError;

/// What the broker keeps; it outlives the host.
#[derive(Default)]
struct Broker {
    messages: Vec<&'static str>,
    /// Messages before this one are acknowledged, and never come again.
    committed: AtomicUsize,
    pulls: AtomicUsize,
    /// Messages that were acknowledged though the intake refused them for good.
    dead: AtomicUsize,
}

impl Broker {
    fn with(messages: &[&'static str]) -> Arc<Self> {
        Arc::new(Self { messages: messages.to_vec(), ..Self::default() })
    }

    /// The first message that is not acknowledged.
    fn pull(&self) -> Option<&'static str> {
        self.pulls.fetch_add(1, SeqCst);
        self.messages.get(self.committed.load(SeqCst)).copied()
    }

    fn acknowledge(&self) {
        self.committed.fetch_add(1, SeqCst);
    }
}

/// One message at a time until there are no more, as a consumer of any broker does it.
async fn consume(broker: Arc<Broker>, intake: Intake, source: Arc<Source>) {
    while let Some(message) = broker.pull() {
        let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let headers = HeaderMap::from_iter([json]);
        let candidate = Candidate { headers, body: message.into(), ..Candidate::default() };
        loop {
            match intake.take(&source, candidate.clone()).await {
                // Durable now, or durable before: the broker may forget it.
                Ok(_) => break,
                Err(refusal) => match refusal.class() {
                    Class::Throttled(wait) | Class::Busy(wait) => tokio::time::sleep(wait).await,
                    Class::Invalid | Class::TooLarge => {
                        broker.dead.fetch_add(1, SeqCst);
                        break;
                    }
                },
            }
        }
        broker.acknowledge();
    }
}

/// Starts the host on what is on the disk.
fn start(broker: &Arc<Broker>, disk: &Arc<FaultyStore>, options: &SourceOptions) -> JoinHandle<()> {
    let intake = Intake::new(Options::default(), disk.clone());
    let source = Arc::new(Source::new("orders".parse().unwrap(), options, None));
    tokio::spawn(consume(broker.clone(), intake, source))
}

/// The kind and the key stand in the message.
fn orders() -> SourceOptions {
    let key = Selector::Json("/id".to_owned());
    SourceOptions {
        kind: Some(Selector::Json("/type".to_owned())),
        dedupe: Some(Dedupe { key, window: Duration::from_secs(60) }),
        ..SourceOptions::default()
    }
}

fn kept(disk: &FaultyStore) -> Vec<String> {
    let events = disk.events.lock();
    events.iter().map(|event| String::from_utf8(event.body.to_vec()).unwrap()).collect()
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        yield_now().await;
    }
    panic!("it did not happen");
}

const MESSAGES: [&str; 3] =
    [r#"{"type":"made","id":1}"#, r#"{"type":"paid","id":2}"#, r#"{"type":"sent","id":3}"#];

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_only_once_it_is_durable() {
    let (broker, disk) = (Broker::with(&MESSAGES), Arc::new(FaultyStore::default()));
    let gate = Arc::new(Semaphore::new(0));
    *disk.gate.lock() = Some(gate.clone());
    let consumer = start(&broker, &disk, &orders());
    for done in 0..MESSAGES.len() {
        until(|| disk.count() == done + 1).await;
        assert_eq!(broker.committed.load(SeqCst), done, "the append has not ended");
        gate.add_permits(1);
    }
    consumer.await.unwrap();
    assert_eq!(
        (broker.committed.load(SeqCst), kept(&disk)),
        (3, MESSAGES.map(str::to_owned).into())
    );
    let events = disk.events.lock();
    assert_eq!((&*events[0].source, &*events[1].kind), ("orders", "paid"));
}

/// `kill -9` between the append and the acknowledgement: the message comes again, and is a duplicate.
#[tokio::test(start_paused = true)]
async fn after_a_crash_the_consumer_continues_and_keeps_each_message_once() {
    let (broker, disk) = (Broker::with(&MESSAGES), Arc::new(FaultyStore::default()));
    *disk.gate.lock() = Some(Arc::new(Semaphore::new(1)));
    let consumer = start(&broker, &disk, &orders());
    // The first is acknowledged, the second durable and not acknowledged.
    until(|| disk.count() == 2).await;
    consumer.abort();
    assert!(consumer.await.unwrap_err().is_cancelled());
    assert_eq!(broker.committed.load(SeqCst), 1);
    *disk.gate.lock() = None;
    start(&broker, &disk, &orders()).await.unwrap();
    assert_eq!(
        (broker.committed.load(SeqCst), kept(&disk)),
        (3, MESSAGES.map(str::to_owned).into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_busy_store_stops_the_pulling_and_loses_nothing() {
    for (error, wait) in
        [(AppendError::Busy, 1), (AppendError::Failed("disk".into()), 10), (AppendError::Full, 30)]
    {
        let (broker, disk) = (Broker::with(&MESSAGES), Arc::new(FaultyStore::default()));
        *disk.error.lock() = Some(error);
        let (consumer, since) = (start(&broker, &disk, &orders()), Instant::now());
        tokio::time::sleep(Duration::from_millis(wait * 10_000 - 500)).await;
        assert_eq!((broker.pulls.load(SeqCst), broker.committed.load(SeqCst)), (1, 0));
        *disk.error.lock() = None;
        consumer.await.unwrap();
        assert_eq!(since.elapsed().as_secs(), wait * 10, "the next try takes it");
        assert_eq!(kept(&disk), MESSAGES);
    }
}

#[tokio::test(start_paused = true)]
async fn the_rate_of_a_source_slows_its_consumer_down() {
    let (broker, disk) = (Broker::with(&MESSAGES), Arc::new(FaultyStore::default()));
    let options = SourceOptions {
        rate: Some(Rate { count: NonZeroU32::MIN, per: Duration::from_secs(2) }),
        ..orders()
    };
    let since = Instant::now();
    start(&broker, &disk, &options).await.unwrap();
    assert_eq!((since.elapsed().as_secs(), kept(&disk).len()), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_would_be_refused_for_ever_does_not_block_those_behind_it() {
    let messages =
        [MESSAGES[0], r#"{"id":[[[[]]]]}"#, MESSAGES[1], r#"{"long":"0123456789012345"}"#];
    let (broker, disk) = (Broker::with(&messages), Arc::new(FaultyStore::default()));
    let options = SourceOptions { max_body: 25, max_json_depth: 3, ..orders() };
    start(&broker, &disk, &options).await.unwrap();
    let told = (broker.committed.load(SeqCst), broker.dead.load(SeqCst));
    assert_eq!(
        (told, kept(&disk)),
        ((4, 2), MESSAGES[..2].iter().map(|it| (*it).to_owned()).collect())
    );
}
