//! Memory and restart with a large backlog: many events waiting for a dead destination.
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::Context;
use hookwright_tests::{Host, HostBuilder};

use super::load::{self, Sink};

/// Measurements of each host, taken in turns.
const TURNS: usize = 7;

/// A port that refuses: bound once, then let go.
fn closed_port() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

pub(crate) fn run(events: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sink = Sink::start().await?;
        let settings = settings(closed_port()?, sink.address);
        // A machine's disk gets slower under what it is given, for all that use
        // it. So the measure is a second host without a backlog, beside the first.
        let mut host = HostBuilder::new(&settings).start().await;
        let control = HostBuilder::new(&settings).start().await;
        println!("backlog of {events} events of 1 KiB for a dead destination");
        compare("before it", &host, &control, &sink).await?;
        println!("resident before: {} MiB", host.resident() >> 20);
        let begin = Instant::now();
        load::post(host.ingress(), "/in/dead", events).await?;
        let took = begin.elapsed().as_secs_f64();
        println!("accepted at {:.0} a second", events as f64 / took);
        println!("resident after: {} MiB", host.resident() >> 20);
        compare("beside it", &host, &control, &sink).await?;
        println!("resident after that: {} MiB", host.resident() >> 20);
        anyhow::ensure!(host.terminate().await == Some(0), "the host did not stop cleanly");
        let begin = Instant::now();
        host.launch().await;
        println!("ready after restart: {:.2} s", begin.elapsed().as_secs_f64());
        compare("after the restart", &host, &control, &sink).await?;
        println!("resident after restart: {} MiB", host.resident() >> 20);
        let waiting = host.api("destinations").await.context("the API answers")?;
        println!("waiting: {}", waiting["destinations"][0]["waiting"]);
        Ok(())
    })
}

fn settings(dead: SocketAddr, sink: SocketAddr) -> String {
    format!(
        "[log]\nlevel = \"warn\"\n\
         [sources.dead]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:{secret}\"] }}\n\
         destinations = [\"dead\"]\n\
         [sources.hub]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:{secret}\"] }}\n\
         destinations = [\"sink\"]\n\
         [destinations.dead]\nurl = \"http://{dead}/\"\nallow_private = true\n\
         sign = {{ scheme = \"none\" }}\nretry = {{ base = \"1h\", cap = \"1h\" }}\n\
         [destinations.sink]\nurl = \"http://{sink}/\"\nallow_private = true\n\
         sign = {{ scheme = \"none\" }}\nin_flight = 64\n",
        secret = load::secret(),
    )
}

/// The good destination of either host, in turns; medians.
async fn compare(when: &str, host: &Host, control: &Host, sink: &Sink) -> anyhow::Result<()> {
    let (mut own, mut other) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        own.push(rate(host, sink).await?);
        other.push(rate(control, sink).await?);
    }
    let (own, other) = (super::median(&own), super::median(&other));
    println!(
        "the other destination {when}: {own:.0} a second, {other:.0} at a host without a backlog ({:.2})",
        own / other
    );
    Ok(())
}

/// Events a second, from post to delivery, to the good destination.
async fn rate(host: &Host, sink: &Sink) -> anyhow::Result<f64> {
    const EVENTS: usize = 20_000;
    let before = sink.count();
    let begin = Instant::now();
    load::post(host.ingress(), "/in/hub", EVENTS).await?;
    sink.reached(before + EVENTS).await;
    Ok(EVENTS as f64 / begin.elapsed().as_secs_f64())
}
