//! Memory and restart with a large backlog: many events waiting for a dead destination.
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use hookwright_tests::{Host, HostBuilder};

use super::load::{self, Sink};

/// So long a disk is given to come to rest.
const SETTLE: Duration = Duration::from_secs(45);

/// A port that refuses: bound once, then let go.
fn closed_port() -> anyhow::Result<std::net::SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

pub(crate) fn run(events: usize) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let sink = Sink::start().await?;
        let settings = format!(
            "[log]\nlevel = \"warn\"\n\
             [sources.dead]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:{secret}\"] }}\n\
             destinations = [\"dead\"]\n\
             [sources.hub]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:{secret}\"] }}\n\
             destinations = [\"sink\"]\n\
             [destinations.dead]\nurl = \"http://{}/\"\nallow_private = true\n\
             sign = {{ scheme = \"none\" }}\nretry = {{ base = \"1h\", cap = \"1h\" }}\n\
             [destinations.sink]\nurl = \"http://{}/\"\nallow_private = true\n\
             sign = {{ scheme = \"none\" }}\nin_flight = 64\n",
            closed_port()?,
            sink.address,
            secret = load::secret(),
        );
        let mut host = HostBuilder::new(&settings).start().await;
        let alone = rate(&host, &sink).await?;
        println!("backlog of {events} events of 1 KiB for a dead destination");
        println!("resident before: {} MiB", host.resident() >> 20);
        let begin = Instant::now();
        load::post(host.ingress(), "/in/dead", events).await?;
        let took = begin.elapsed().as_secs_f64();
        println!("accepted at {:.0} a second", events as f64 / took);
        println!("resident after: {} MiB", host.resident() >> 20);
        let beside = rate(&host, &sink).await?;
        println!(
            "the other destination: {alone:.0} a second alone, {beside:.0} beside the backlog ({:.2})",
            beside / alone
        );
        // What was just accepted is still being written back, by this machine
        // and by the one that lends it its disk: that slows all that runs.
        anyhow::ensure!(Command::new("sync").status()?.success(), "`sync` failed");
        tokio::time::sleep(SETTLE).await;
        let settled = rate(&host, &sink).await?;
        println!("and once the disk has come to rest: {settled:.0} ({:.2})", settled / alone);
        println!("resident after that: {} MiB", host.resident() >> 20);
        anyhow::ensure!(host.terminate().await == Some(0), "the host did not stop cleanly");
        let begin = Instant::now();
        host.launch().await;
        println!("ready after restart: {:.2} s", begin.elapsed().as_secs_f64());
        let again = rate(&host, &sink).await?;
        println!("the other destination after the restart: {again:.0} a second");
        println!("resident after restart: {} MiB", host.resident() >> 20);
        let waiting = host.api("destinations").await.context("the API answers")?;
        println!("waiting: {}", waiting["destinations"][0]["waiting"]);
        Ok(())
    })
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
