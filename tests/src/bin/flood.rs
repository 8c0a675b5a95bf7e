//! Measures what a flood of bad requests does to a good source: its 99th percentile with and without, interleaved.
//!
//! The good source's requests come at a fixed rate, and each is timed from when
//! it was due, so that a stall counts for all that it held up. The flood comes
//! at a fixed rate too: wrong signatures at the good source itself and at
//! another one, unknown sources, and bodies that are too large.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its results")]

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use hookwright_signing::{Draft, Secret, Verify, presets, sign_as_provider};
use hookwright_tests::{Client, Host, HostBuilder};
use tokio::task::JoinSet;
use tokio::time::Instant;

const SETTINGS: &str = r#"
[log]
level = "warn"
[sources.good]
verify = { scheme = "github", secrets = ["env:SECRET"] }
[sources.other]
verify = { scheme = "github", secrets = ["env:SECRET"] }
max_body = "4KiB"
"#;
const SECRET: &str = "the secret of the flood";
/// Good requests a second.
const GOOD: f64 = 200.0;

struct Options {
    rounds: usize,
    seconds: f64,
    /// Bad requests a minute.
    flood: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut options = Options { rounds: 7, seconds: 10.0, flood: 50_000.0 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--rounds" => options.rounds = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            "--flood" => options.flood = value.parse()?,
            other => anyhow::bail!(
                "unknown argument `{other}`; there are --rounds N, --seconds N, --flood PER_MINUTE"
            ),
        }
    }
    let host = Arc::new(HostBuilder::new(SETTINGS).env("SECRET", SECRET).start().await);
    // Connections, caches and the first files of the store.
    good(&host, 2.0).await?;
    let (mut quiet, mut flooded) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let alone = percentile(good(&host, options.seconds).await?);
        let bad = tokio::spawn(flood(host.clone(), options.flood / 60.0, options.seconds));
        let among = percentile(good(&host, options.seconds).await?);
        let refused = bad.await.context("the flood panicked")??;
        eprintln!("round {round}: {alone:?} alone, {among:?} among {refused} refused");
        quiet.push(alone);
        flooded.push(among);
    }
    let (alone, among) = (median(&mut quiet), median(&mut flooded));
    let ratio = among.as_secs_f64() / alone.as_secs_f64();
    println!(
        "p99 of {GOOD} good requests a second: {alone:?} alone, {among:?} with {} bad ones a minute; \
         ratio {ratio:.2}, medians of {} rounds",
        options.flood, options.rounds
    );
    Ok(())
}

/// Posts good events at their rate; gives the time of each.
async fn good(host: &Host, seconds: f64) -> anyhow::Result<Vec<Duration>> {
    let verify = Verify::preset(&presets::GITHUB, [Secret::new(SECRET)]);
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(1_000));
    let draft = Draft { id: "1", at_s: 0, kind: None, body: Some(body.as_bytes()) };
    let signed = sign_as_provider(&verify, &draft).context("GitHub signs with a secret")?;
    let signature = |(name, _): &(String, String)| name == "x-hub-signature-256";
    let (name, value) = signed.headers.into_iter().find(signature).context("GitHub signs")?;
    let (client, address) = (host.client.clone(), host.ingress());
    let times = paced(GOOD, seconds, move |_| {
        let (client, name, value, body) =
            (client.clone(), name.clone(), value.clone(), body.clone());
        async move { Ok(client.post(address, "/in/good", &[(&name, &value)], body).await?.status) }
    });
    let times = times.await?;
    ensure!(times.iter().all(|(status, _)| *status == 202), "a good request was refused");
    Ok(times.into_iter().map(|(_, took)| took).collect())
}

/// Posts bad requests at the rate; gives how many were refused: all of them.
async fn flood(host: Arc<Host>, rate: f64, seconds: f64) -> anyhow::Result<usize> {
    // Connections of its own.
    let (client, address) = (Client::default(), host.ingress());
    let times = paced(rate, seconds, move |number| {
        let client = client.clone();
        async move {
            let (path, size) = match number % 10 {
                0 => ("/in/nobody", 100),
                1 => ("/in/other", 8 * 1_024),
                2..6 => ("/in/good", 1_000),
                _ => ("/in/other", 1_000),
            };
            let wrong = format!("sha256={}", "00".repeat(32));
            let headers = [("x-hub-signature-256", wrong.as_str())];
            Ok(client.post(address, path, &headers, "x".repeat(size)).await?.status)
        }
    });
    let times = times.await?;
    ensure!(times.iter().all(|(status, _)| *status >= 400), "a bad request was taken");
    Ok(times.len())
}

/// Starts a request whenever one is due, answered or not; each one's status, and
/// its time from when it was due.
async fn paced<F, Fut>(rate: f64, seconds: f64, request: F) -> anyhow::Result<Vec<(u16, Duration)>>
where
    F: Fn(usize) -> Fut,
    Fut: Future<Output = anyhow::Result<u16>> + Send + 'static,
{
    let start = Instant::now();
    let mut running = JoinSet::new();
    for number in 0..(rate * seconds) as usize {
        let due = start + Duration::from_secs_f64(number as f64 / rate);
        tokio::time::sleep_until(due).await;
        let request = request(number);
        running.spawn(async move { request.await.map(|status| (status, due.elapsed())) });
    }
    running.join_all().await.into_iter().collect()
}

fn percentile(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

fn median(values: &mut [Duration]) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
