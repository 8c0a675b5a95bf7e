//! Raw group commit alone: appends and syncs of a plain file, against the store's append.
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event};
use hookwright_store::{Handoff, NewEvent};

const EVENTS: usize = 30_000;
const WAITING: usize = 64;

/// Takes nothing: only the appends are measured.
struct Nobody;

impl Handoff for Nobody {
    fn durable(&self, _: Vec<Arc<Event>>) {}
    fn ready(&self, _: Vec<Delivery>) {}
}

pub(crate) fn run(rounds: usize) -> anyhow::Result<()> {
    let body = Bytes::from(super::load::body());
    let (mut plain, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        plain.push(rate(file(&body)?));
        ours.push(rate(append(&body)?));
    }
    let limit = super::median(&plain);
    println!("\ncommits, {WAITING} waiting at a time, about 1 KiB");
    println!("{:<34} {:>10} {:>8}", "", "median/s", "ratio");
    println!("{:<34} {:>10.0} {:>8.2}", "a file: write, fdatasync", limit, 1.0);
    let rate = super::median(&ours);
    println!("{:<34} {:>10.0} {:>8.2}", "the store: append", rate, rate / limit);
    Ok(())
}

fn rate(took: Duration) -> f64 {
    EVENTS as f64 / took.as_secs_f64()
}

fn file(body: &[u8]) -> anyhow::Result<Duration> {
    let mut file = tempfile::tempfile()?;
    let batch: Vec<u8> = body.repeat(WAITING);
    let begin = Instant::now();
    for _ in 0..EVENTS / WAITING {
        file.write_all(&batch)?;
        file.sync_data()?;
    }
    Ok(begin.elapsed())
}

fn append(body: &Bytes) -> anyhow::Result<Duration> {
    let dir = tempfile::tempdir()?;
    let store = hookwright_store_embedded::open(
        hookwright_store_embedded::Options::new(dir.path(), Clock::system()),
        Arc::new(Nobody),
    )?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let begin = Instant::now();
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..WAITING {
            let (store, body) = (store.clone(), body.clone());
            clients.spawn(async move {
                for _ in 0..EVENTS / WAITING {
                    let event = NewEvent {
                        source: "hub".parse().expect("a name"),
                        kind: "push".into(),
                        headers: http::HeaderMap::new(),
                        body: body.clone(),
                        dedupe: None,
                    };
                    store.append(event).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = clients.join_next().await {
            done??;
        }
        anyhow::Ok(())
    })?;
    let took = begin.elapsed();
    runtime.block_on(store.close())?;
    Ok(took)
}
