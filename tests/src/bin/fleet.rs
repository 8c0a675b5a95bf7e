//! Measures what dead and slow destinations do to the healthy ones beside them: their throughput and 99th percentile, with and without.
//!
//! Two hosts, one after the other and several times: in one all destinations
//! are well, in the other every tenth is dead (half of those refuse, half never
//! answer) and every hundredth takes a second. Both get the same events. An
//! event goes to ten destinations, one of them among the dead; whoever posts it
//! waits for those that are healthy in both hosts, and only those count.
//!
//! As fast as they can, the posters fill the machine, and what the others cost in
//! processor time shows, too; at a `--rate` below that only what they hold up.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its results")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use hookwright_tests::{Host, HostBuilder};
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Destinations of one source.
const FAN_OUT: usize = 10;
/// How long a slow one takes.
const SLOW: Duration = Duration::from_secs(1);

struct Options {
    destinations: usize,
    rounds: usize,
    seconds: f64,
    /// Events that are under way at the same time.
    posters: usize,
    /// Events a second; 0: as many as there can be.
    rate: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut options =
        Options { destinations: 10_000, rounds: 3, seconds: 20.0, posters: 32, rate: 0.0 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--destinations" => options.destinations = value.parse()?,
            "--rounds" => options.rounds = value.parse()?,
            "--seconds" => options.seconds = value.parse()?,
            "--posters" => options.posters = value.parse()?,
            "--rate" => options.rate = value.parse()?,
            other => anyhow::bail!(
                "unknown argument `{other}`; there are --destinations N, --rounds N, --seconds N, \
                 --posters N and --rate N"
            ),
        }
    }
    let (mut well, mut ill) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        for (name, sick, runs) in [("well", false, &mut well), ("ill", true, &mut ill)] {
            let run = measure(&options, sick).await?;
            eprintln!(
                "round {round}, {name}: {:.0} deliveries a second, p99 {:?}, {} MiB",
                run.rate,
                run.p99,
                run.resident >> 20
            );
            runs.push(run);
        }
    }
    println!(
        "{} destinations, of which {} dead and {} slow; medians of {} rounds",
        options.destinations,
        options.destinations / 10,
        options.destinations / 100,
        options.rounds
    );
    let rate = |run: &Run| run.rate;
    let p99 = |run: &Run| run.p99.as_secs_f64() * 1_000.0;
    // The machine may change from round to round: a ratio is one of neighbours.
    println!(
        "healthy ones: {:.0} deliveries a second where all are well, {:.0} beside the others; ratio {:.2}",
        median(well.iter().map(rate)),
        median(ill.iter().map(rate)),
        median(well.iter().zip(&ill).map(|(well, ill)| rate(ill) / rate(well))),
    );
    println!(
        "p99 of an event: {:.0} ms, {:.0} ms; ratio {:.2}",
        median(well.iter().map(p99)),
        median(ill.iter().map(p99)),
        median(well.iter().zip(&ill).map(|(well, ill)| p99(ill) / p99(well))),
    );
    Ok(())
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Run {
    /// Deliveries to healthy destinations a second.
    rate: f64,
    /// From the post to the last of its healthy destinations.
    p99: Duration,
    resident: u64,
}

async fn measure(options: &Options, sick: bool) -> anyhow::Result<Run> {
    let board = Arc::new(Board::default());
    let receiver = TcpListener::bind("127.0.0.1:0").await?;
    let address = receiver.local_addr()?;
    let serving = tokio::spawn(serve(receiver, board.clone()));
    // Bound once, then let go: it refuses.
    let refusing = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let text = settings(options.destinations, sick, address, refusing);
    let host = Arc::new(HostBuilder::new(&text).start().await);
    // Connections, and breakers that have found out.
    run(options, &host, &board, options.seconds / 2.0).await?;
    board.forget();
    run(options, &host, &board, options.seconds).await?;
    let resident = host.resident();
    drop(host);
    serving.abort();
    let (count, mut times) = board.forget();
    ensure!(!times.is_empty(), "no event reached its destinations");
    times.sort_unstable();
    let p99 = times[times.len() * 99 / 100];
    Ok(Run { rate: count as f64 / options.seconds, p99, resident })
}

fn settings(destinations: usize, sick: bool, at: SocketAddr, refusing: SocketAddr) -> String {
    let mut text = String::from("[log]\nlevel = \"error\"\n");
    for number in 0..destinations {
        let url = match (kind(number), sick) {
            (Kind::Healthy, _) => format!("http://{at}/counted"),
            (_, false) => format!("http://{at}/well"),
            (Kind::Slow, true) => format!("http://{at}/slow"),
            (Kind::Dead, true) if number % 20 == 0 => format!("http://{refusing}/"),
            (Kind::Dead, true) => format!("http://{at}/silent"),
        };
        writeln!(
            text,
            "[destinations.d{number}]\nurl = \"{url}\"\nallow_private = true\n\
             sign = {{ scheme = \"none\" }}\ntimeout = \"2s\""
        )
        .expect("a string takes all");
    }
    for source in 0..destinations / FAN_OUT {
        let own = source * FAN_OUT..(source + 1) * FAN_OUT;
        let own: Vec<_> = own.map(|number| format!("\"d{number}\"")).collect();
        writeln!(
            text,
            "[sources.s{source}]\nverify = {{ scheme = \"none\" }}\ndestinations = [{}]",
            own.join(", ")
        )
        .expect("a string takes all");
    }
    text
}

enum Kind {
    Healthy,
    Slow,
    Dead,
}

fn kind(number: usize) -> Kind {
    match (number % 10, number % 100) {
        (0, _) => Kind::Dead,
        (_, 1) => Kind::Slow,
        _ => Kind::Healthy,
    }
}

/// Posts from many tasks for so long; each waits for its event's healthy destinations.
async fn run(
    options: &Options,
    host: &Arc<Host>,
    board: &Arc<Board>,
    seconds: f64,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let until = start + Duration::from_secs_f64(seconds);
    // Zero seconds where there is no rate.
    let gap = Duration::try_from_secs_f64(options.rate.recip()).unwrap_or_default();
    let sources = options.destinations / FAN_OUT;
    let next = Arc::new(AtomicUsize::new(0));
    let mut posters = tokio::task::JoinSet::new();
    for _ in 0..options.posters {
        let (host, board, next) = (host.clone(), board.clone(), next.clone());
        posters.spawn(async move {
            while Instant::now() < until {
                // A step that is prime to the count visits all of them.
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let source = turn * 7 % sources;
                let due = start + gap * u32::try_from(turn)?;
                tokio::time::sleep_until(due).await;
                // An event that is late to be posted has waited, too.
                let began = if gap.is_zero() { Instant::now() } else { due };
                let own = source * FAN_OUT..(source + 1) * FAN_OUT;
                let healthy = own.filter(|number| matches!(kind(*number), Kind::Healthy)).count();
                let (number, came) = board.expect(healthy, began);
                let path = format!("/in/s{source}");
                let answer = host.client.post(host.ingress(), &path, &[], number.to_string());
                ensure!(answer.await?.status == 202, "an event was refused");
                let waited = tokio::time::timeout(Duration::from_secs(60), came).await;
                waited.context("a healthy destination got nothing for a minute")??;
            }
            Ok(())
        });
    }
    posters.join_all().await.into_iter().collect()
}

/// What is under way, and what came.
#[derive(Default)]
struct Board {
    next: AtomicU64,
    open: Mutex<HashMap<u64, Open>>,
    count: AtomicUsize,
    times: Mutex<Vec<Duration>>,
}

struct Open {
    began: Instant,
    left: usize,
    done: oneshot::Sender<()>,
}

impl Board {
    fn expect(&self, left: usize, began: Instant) -> (u64, oneshot::Receiver<()>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (done, came) = oneshot::channel();
        let open = Open { began, left, done };
        self.open.lock().expect("no holder panics").insert(number, open);
        (number, came)
    }

    fn came(&self, number: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut all = self.open.lock().expect("no holder panics");
        let Some(open) = all.get_mut(&number) else { return };
        open.left -= 1;
        if open.left == 0
            && let Some(open) = all.remove(&number)
        {
            self.times.lock().expect("no holder panics").push(open.began.elapsed());
            let _ = open.done.send(());
        }
    }

    /// Begins anew; answers deliveries and the events' times since the last time.
    fn forget(&self) -> (usize, Vec<Duration>) {
        let times = std::mem::take(&mut *self.times.lock().expect("no holder panics"));
        (self.count.swap(0, Ordering::Relaxed), times)
    }
}

async fn serve(listener: TcpListener, board: Arc<Board>) {
    while let Ok((stream, _)) = listener.accept().await {
        let board = board.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, board.clone()));
            let _ = stream.set_nodelay(true);
            // A client that went away is no concern of the measure.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    board: Arc<Board>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    match request.uri().path() {
        "/slow" => tokio::time::sleep(SLOW).await,
        "/silent" => std::future::pending().await,
        "/counted" => {
            let body = request.into_body().collect().await.map(|body| body.to_bytes());
            let text = body.ok().and_then(|body| std::str::from_utf8(&body).ok()?.parse().ok());
            if let Some(number) = text {
                board.came(number);
            }
        }
        _ => {}
    }
    Ok(Response::new(Empty::new()))
}
