//! What a hostile plugin costs its neighbour: the times of a pass-through's calls, alone and beside it, by turns.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookwright_model::Name;
use hookwright_plugins::{Call, Compiler, Options, Plugins, Spec};

/// Timed calls of the neighbour in each round and state.
const CALLS: usize = 4_000;
/// Between two of them: some 1,000 events a second.
const PAUSE: Duration = Duration::from_millis(1);
/// Hostile events under way at once.
const HOSTILE: usize = 4;
const GUESTS: [&str; 5] = ["loop", "memory", "table", "log-flood", "huge-string"];

pub(crate) fn run(rounds: usize) -> anyhow::Result<()> {
    let yard = tempfile::tempdir()?;
    std::fs::write(yard.path().join("pass.wasm"), super::guest("pass"))?;
    let mut specs = vec![Spec::new("pass".parse()?)];
    for name in GUESTS {
        std::fs::write(yard.path().join(format!("{name}.wasm")), hookwright_tests::hostile(name))?;
        let mut spec = Spec::new(name.parse()?);
        // It would end the test after twenty events.
        spec.quarantine.calls = 0;
        specs.push(spec);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plugins = runtime.block_on(open(yard.path(), specs))?;
    println!("a pass-through's calls at 1,000 a second, alone and beside a hostile plugin, µs");
    println!(
        "{:<22} {:>8} {:>8} {:>8} {:>8} {:>9}",
        "", "p50", "beside", "p99", "beside", "p99 ratio"
    );
    for name in GUESTS {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            alone.extend(runtime.block_on(times(&plugins)));
            let over = Arc::new(AtomicBool::new(false));
            let hostile: Vec<_> = (0..HOSTILE)
                .map(|_| runtime.spawn(harass(plugins.clone(), name.parse(), over.clone())))
                .collect();
            beside.extend(runtime.block_on(times(&plugins)));
            over.store(true, Ordering::SeqCst);
            for task in hostile {
                runtime.block_on(task)?;
            }
        }
        let [a50, a99] = [0.5, 0.99].map(|part| quantile(&mut alone, part));
        let [b50, b99] = [0.5, 0.99].map(|part| quantile(&mut beside, part));
        println!("{name:<22} {a50:>8.1} {b50:>8.1} {a99:>8.1} {b99:>8.1} {:>9.2}", b99 / a99);
    }
    Ok(())
}

async fn open(dir: &std::path::Path, specs: Vec<Spec>) -> anyhow::Result<Plugins> {
    let options = Options::new(dir.to_owned(), dir.join("cache"), Compiler::InProcess);
    let plugins = Plugins::open(options, specs)?;
    for report in plugins.load_all().await {
        report.result.map_err(|error| anyhow::anyhow!("{}: {error}", report.plugin))?;
    }
    Ok(plugins)
}

/// Sends events to a hostile plugin, one after the other.
async fn harass<E>(plugins: Plugins, name: Result<Name, E>, over: Arc<AtomicBool>) {
    let Ok(name) = name else { return };
    while !over.load(Ordering::SeqCst) {
        let event = super::calls::event();
        ask(&plugins, std::slice::from_ref(&name), &event).await;
        tokio::task::yield_now().await;
    }
}

/// Microseconds of each call.
async fn times(plugins: &Plugins) -> Vec<f64> {
    let names: Vec<Name> = "pass".parse().into_iter().collect();
    let event = super::calls::event();
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        tokio::time::sleep(PAUSE).await;
        let begin = Instant::now();
        ask(plugins, &names, &event).await;
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times
}

async fn ask(plugins: &Plugins, names: &[Name], event: &hookwright_model::Event) {
    let call = Call::about(event);
    plugins.pin(names).call(0, &call).await;
}

fn quantile(times: &mut [f64], part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    let place = ((times.len() as f64 * part) as usize).min(times.len().saturating_sub(1));
    times.get(place).copied().unwrap_or_default()
}
