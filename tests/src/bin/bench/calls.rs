//! One plugin call alone: through the host's engine, against a bare wasmtime call of the same pass-through guest.
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use hookwright_model::{Event, EventId};
use hookwright_plugins::{Call, Compiler, Options, Plugins, Spec};
use wasmtime::component::{Component, Linker, Resource};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "plugin",
        imports: { "hookwright:plugin/types.[drop]body": trappable },
    });
}

use bindings::exports::hookwright::plugin::handler;
use bindings::hookwright::plugin::{log, types};
use bindings::{Plugin, PluginPre};

/// Calls of one timing.
const CALLS: u32 = 20_000;

/// A host with nothing in it.
struct Bare;

impl types::Host for Bare {}

impl types::HostBody for Bare {
    fn size(&mut self, _: Resource<types::Body>) -> u64 {
        0
    }

    fn read(&mut self, _: Resource<types::Body>) -> Vec<u8> {
        Vec::new()
    }

    fn select(&mut self, _: Resource<types::Body>, pointers: Vec<String>) -> Vec<Option<String>> {
        vec![None; pointers.len()]
    }

    fn drop(&mut self, _: Resource<types::Body>) -> wasmtime::Result<()> {
        Ok(())
    }
}

impl log::Host for Bare {
    fn log(&mut self, _: log::Level, _: String) {}
}

struct HasBare;

impl wasmtime::component::HasData for HasBare {
    type Data<'a> = &'a mut Bare;
}

/// The plugins that are measured, with their settings.
const SUBJECTS: [(&str, &str); 4] = [
    ("pass", "{}"),
    ("filter", r#"{"drop":[{"field":"/ref","regex":"^refs/(tags|heads/wip-.*)$"}]}"#),
    ("redact", r#"{"patterns":[{"known":"email"}]}"#),
    ("thin-github", "{}"),
];

/// Whether `only` wants any of it: `calls`, or one plugin by its name.
pub(crate) fn is_wanted(only: Option<&str>) -> bool {
    only.is_none_or(|only| only == "calls" || SUBJECTS.iter().any(|(name, _)| *name == only))
}

pub(crate) fn run(plugins: &Path, rounds: usize, only: Option<&str>) -> anyhow::Result<()> {
    let event = event();
    let pass = super::guest("pass");
    let bare = bare(&pass, &event)?;
    let yard = tempfile::tempdir()?;
    std::fs::write(yard.path().join("pass.wasm"), &pass)?;
    let mut subjects = SUBJECTS.to_vec();
    subjects.retain(|(name, _)| only.is_none_or(|only| only == "calls" || only == *name));
    for (name, _) in subjects.iter().filter(|(name, _)| *name != "pass") {
        let file = format!("{name}.wasm");
        std::fs::copy(plugins.join(&file), yard.path().join(&file))
            .with_context(|| format!("no {file}: run `make plugins`"))?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let host = runtime.block_on(open(yard.path(), &subjects))?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); subjects.len() + 1];
    for _ in 0..rounds {
        times[0].push(micros(bare()?));
        for (place, (name, _)) in subjects.iter().enumerate() {
            times[place + 1].push(micros(runtime.block_on(timed(&host, name, &event))?));
        }
    }
    println!("one call on a fresh instance, one thread, about 1 KiB of JSON");
    println!("{:<34} {:>10} {:>8}", "", "median µs", "ratio");
    let limit = super::median(&times[0]);
    println!("{:<34} {:>10.2} {:>8.2}", "bare wasmtime: pass-through", limit, 1.0);
    for ((name, _), times) in subjects.iter().zip(&times[1..]) {
        let time = super::median(times);
        println!("{:<34} {:>10.2} {:>8.2}", format!("the host: {name}"), time, time / limit);
    }
    Ok(())
}

fn micros(total: Duration) -> f64 {
    total.as_secs_f64() * 1e6 / f64::from(CALLS)
}

pub(crate) fn event() -> Event {
    let mut headers = http::HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static("application/json"));
    Event {
        id: EventId::new(EventId::first_row_at(1_700_000_000_000), 7),
        received_ms: 1_700_000_000_000,
        source: "hub".parse().expect("a name"),
        kind: "push".into(),
        headers,
        body: Bytes::from(super::load::body()),
    }
}

async fn open(dir: &Path, subjects: &[(&str, &str)]) -> anyhow::Result<Plugins> {
    let specs = subjects.iter().map(|(name, config)| {
        let spec = Spec::new(name.parse().expect("a name"));
        Spec { config_json: (*config).to_owned(), ..spec }
    });
    let options = Options::new(dir.to_owned(), dir.join("cache"), Compiler::InProcess);
    let plugins = Plugins::open(options, specs.collect())?;
    for report in plugins.load_all().await {
        report.result.map_err(|error| anyhow::anyhow!("{}: {error}", report.plugin))?;
    }
    Ok(plugins)
}

async fn timed(plugins: &Plugins, name: &str, event: &Event) -> anyhow::Result<Duration> {
    let names = [name.parse().expect("a name")];
    let call = Call::about(event);
    let begin = Instant::now();
    for _ in 0..CALLS {
        let answer = plugins.pin(&names).call(0, &call).await;
        anyhow::ensure!(answer.result.is_ok(), "{name}: {:?}", answer.result);
    }
    Ok(begin.elapsed())
}

/// Instantiate and call, on a tuned pool, with no limit of any kind.
fn bare(wasm: &[u8], event: &Event) -> anyhow::Result<impl Fn() -> anyhow::Result<Duration>> {
    let mut pool = PoolingAllocationConfig::new();
    pool.linear_memory_keep_resident(1 << 20).table_keep_resident(1 << 20);
    pool.pagemap_scan(wasmtime::Enabled::Auto);
    let mut config = Config::new();
    // As the host: no collector is compiled in.
    config.wasm_gc(false).gc_support(false);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, wasm)?;
    let mut linker = Linker::new(&engine);
    Plugin::add_to_linker::<_, HasBare>(&mut linker, |bare| bare)?;
    let pre = PluginPre::new(linker.instantiate_pre(&component)?)?;
    let event = handler::Event {
        id: event.id.to_string(),
        source: event.source.to_string(),
        kind: event.kind.to_string(),
        content_type: event.content_type().to_owned(),
        received_ms: event.received_ms(),
        replay: false,
        attributes: Vec::new(),
        headers: Vec::new(),
    };
    Ok(move || {
        let begin = Instant::now();
        for _ in 0..CALLS {
            let mut store = Store::new(&engine, Bare);
            let plugin = pre.instantiate(&mut store)?;
            let body = Resource::new_borrow(0);
            let answer =
                plugin.hookwright_plugin_handler().call_handle(&mut store, &event, body)?;
            anyhow::ensure!(answer.is_ok(), "the guest failed");
        }
        Ok(begin.elapsed())
    })
}
