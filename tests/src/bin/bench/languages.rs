//! What a plugin costs in each language, and what many of them cost together: the table of the guide.
//!
//! One job in each: an order above a limit goes to two destinations. Loads are
//! measured in a process of their own, which has compiled nothing before.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use hookwright_model::{Event, Name};
use hookwright_plugins::{Call, Compiler, Options, Plugins, Report, Spec, Warm};
use tempfile::TempDir;

const GUIDE: &str = "docs/plugins.md";
const BEGIN: &str = "<!-- made by `make costs` -->\n";
const END: &str = "<!-- end -->";
/// Plugins that are loaded at once.
const MANY: u8 = 100;
/// Calls of one round go on for that long.
const ROUND: Duration = Duration::from_millis(500);
const ORDER: &[u8] = br#"{"id":7,"amount":1200.5}"#;

struct Language {
    title: &'static str,
    /// Of the example below `plugins/`; none where the component is among the built plugins.
    example: Option<&'static str>,
    config: &'static str,
}

const EXAMPLE: &str = r#"{"limit":1000,"to":["billing","review"]}"#;
const RUST: Language = Language {
    title: "Rust",
    example: None,
    config: r#"{"rules":[{"when":{"field":"/amount","at_least":1000},"to":["billing","review"]}]}"#,
};
const LANGUAGES: [Language; 4] = [
    RUST,
    Language { title: "C", example: Some("c"), config: EXAMPLE },
    Language { title: "JavaScript", example: Some("js"), config: EXAMPLE },
    Language { title: "Python", example: Some("python"), config: EXAMPLE },
];

/// A folder of plugins with one setting for all, and their native code.
struct Yard<'a> {
    dir: TempDir,
    config: &'a str,
}

/// `only` is one language's title, or "many"; the guide's table has them all.
pub(crate) fn run(
    built: &Path,
    rounds: usize,
    write: bool,
    only: Option<&str>,
) -> anyhow::Result<()> {
    anyhow::ensure!(!write || only.is_none(), "--write makes the whole table: leave --only out");
    let wanted = |part: &str| only.is_none_or(|title| title == part);
    let mut table = String::from(
        "| language | component | native code | compile | load from cache | memory | a call, fresh | a call, warm |\n|---|---|---|---|---|---|---|---|\n",
    );
    for language in LANGUAGES.iter().filter(|language| wanted(language.title)) {
        let wasm = language.component(built)?;
        table.push_str(&row(language, &wasm, rounds)?);
    }
    if wanted("many") {
        table.push_str(&many(&RUST.component(built)?, rounds)?);
    }
    if write {
        return into_guide(&table);
    }
    println!("{table}");
    Ok(())
}

impl Language {
    fn component(&self, built: &Path) -> anyhow::Result<Vec<u8>> {
        let folder = tempfile::tempdir()?;
        let file = match self.example {
            None => built.join("route.wasm"),
            Some(language) => {
                let project = hookwright_tests::example(language, folder.path());
                let mut build = hookwright_tests::with_tools(language, &project);
                let done = build.args(["plugin", "build"]).output()?;
                let said = String::from_utf8_lossy(&done.stderr);
                anyhow::ensure!(done.status.success(), "{} is not built: {said}", self.title);
                project.join("plugins-built/large-orders.wasm")
            }
        };
        std::fs::read(&file).with_context(|| format!("no {}: run `make plugins`", file.display()))
    }
}

fn row(language: &Language, wasm: &[u8], rounds: usize) -> anyhow::Result<String> {
    let yard = Yard::new(language.config)?;
    yard.put("plugin", wasm)?;
    let runtime = runtime()?;
    let mut report = None;
    let mut calls = [Vec::new(), Vec::new()];
    for (warm, times) in [None, Some(Warm { keep: 1, calls: u32::MAX })].into_iter().zip(&mut calls)
    {
        let plugins = yard.open(Compiler::InProcess, warm)?;
        let loaded = runtime.block_on(all_loaded(&plugins))?.pop().context("one is loaded")?;
        // What was compiled stays in the cache, and the report with it.
        report.get_or_insert(loaded);
        for _ in 0..rounds {
            times.push(runtime.block_on(call_us(&plugins))?);
        }
    }
    let report = report.context("it is loaded")?;
    let (load_us, bytes) = yard.measure_load(rounds)?;
    let [fresh, warm] = calls.map(|times| span(super::median(&times)));
    Ok(format!(
        "| {} | {} | {} | {} | {} | {} | {fresh} | {warm} |\n",
        language.title,
        size(report.shape.size as f64),
        size(report.native_size as f64),
        span(report.compile_ms as f64 * 1e3),
        span(load_us),
        size(bytes),
    ))
}

/// Many plugins of one source that differ in a byte, so that each has native code of its own.
fn many(wasm: &[u8], rounds: usize) -> anyhow::Result<String> {
    let yard = Yard::new(RUST.config)?;
    for number in 0..MANY {
        // A custom section: a name of one byte, and a byte.
        let one = [wasm, &[0, 3, 1, b'n', number]].concat();
        yard.put(&format!("plugin-{number}"), &one)?;
    }
    let plugins = yard.open(Compiler::InProcess, None)?;
    runtime()?.block_on(all_loaded(&plugins))?;
    drop(plugins);
    let (load_us, bytes) = yard.measure_load(rounds)?;
    let mut text = String::new();
    write!(
        text,
        "\n{MANY} different plugins in Rust are loaded from the cache in {}, and take {} each.\n",
        span(load_us),
        size(bytes / f64::from(MANY)),
    )?;
    Ok(text)
}

impl<'a> Yard<'a> {
    fn new(config: &'a str) -> anyhow::Result<Self> {
        Ok(Self { dir: tempfile::tempdir()?, config })
    }

    fn put(&self, name: &str, wasm: &[u8]) -> anyhow::Result<()> {
        Ok(std::fs::write(self.dir.path().join(format!("{name}.wasm")), wasm)?)
    }

    fn open(&self, compiler: Compiler, warm: Option<Warm>) -> anyhow::Result<Plugins> {
        open(self.dir.path(), self.config, compiler, warm)
    }

    /// Microseconds of loading all from the cache, and bytes that the process grows by.
    fn measure_load(&self, rounds: usize) -> anyhow::Result<(f64, f64)> {
        let (mut times, mut sizes) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let mut child = Command::new(std::env::current_exe()?);
            let done = child.arg("load-plugins").arg(self.dir.path()).arg(self.config).output()?;
            let (out, err) =
                (String::from_utf8(done.stdout)?, String::from_utf8_lossy(&done.stderr));
            anyhow::ensure!(done.status.success(), "the load failed: {err}");
            let (time, size) = out.trim().split_once(' ').context("two figures")?;
            times.push(time.parse()?);
            sizes.push(size.parse()?);
        }
        Ok((super::median(&times), super::median(&sizes)))
    }
}

/// The child's side: loads what is in the folder from its cache, and tells time and memory.
pub(crate) fn load(dir: &Path, config: &str) -> anyhow::Result<()> {
    // Who had to compile would fail.
    let nobody = Compiler::Child { program: PathBuf::from("/nonexistent"), args: Vec::new() };
    let plugins = open(dir, config, nobody, None)?;
    let runtime = runtime()?;
    let before = hookwright_tests::resident("self");
    let begin = Instant::now();
    runtime.block_on(all_loaded(&plugins))?;
    let took = begin.elapsed();
    let grown = hookwright_tests::resident("self").saturating_sub(before);
    println!("{} {grown}", took.as_micros());
    Ok(())
}

fn open(
    dir: &Path,
    config: &str,
    compiler: Compiler,
    warm: Option<Warm>,
) -> anyhow::Result<Plugins> {
    let mut specs = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "wasm") {
            let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?;
            let mut spec = Spec::new(name.parse()?);
            config.clone_into(&mut spec.config_json);
            spec.limits.time = Duration::from_secs(1);
            spec.warm = warm;
            specs.push(spec);
        }
    }
    let options = Options::new(dir.to_owned(), dir.join("cache"), compiler);
    Ok(Plugins::open(options, specs)?)
}

async fn all_loaded(plugins: &Plugins) -> anyhow::Result<Vec<std::sync::Arc<Report>>> {
    let reports = plugins.load_all().await.into_iter().map(|one| {
        let plugin = one.plugin;
        one.result.map_err(|error| anyhow::anyhow!("{plugin}: {error}"))
    });
    reports.collect()
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Microseconds of one call, by the mean of many.
async fn call_us(plugins: &Plugins) -> anyhow::Result<f64> {
    let names: [Name; 1] = ["plugin".parse()?];
    let event = Event { body: Bytes::from_static(ORDER), ..super::calls::event() };
    let call = Call::about(&event);
    let mut calls = 0_u32;
    let begin = Instant::now();
    while begin.elapsed() < ROUND {
        let answer = plugins.pin(&names).call(0, &call).await;
        anyhow::ensure!(answer.result.is_ok(), "{:?}", answer.result);
        calls += 1;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

fn into_guide(table: &str) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(GUIDE).context("run it in the workspace")?;
    let marks = "the guide has lost the marks of its table";
    let (before, rest) = page.split_once(BEGIN).context(marks)?;
    let (_, after) = rest.split_once(END).context(marks)?;
    std::fs::write(GUIDE, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?;
    println!("{table}\nwritten into {GUIDE}");
    Ok(())
}

/// Three digits, more or less, with a unit.
fn span(us: f64) -> String {
    match us {
        us if us < 100.0 => format!("{us:.1} µs"),
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e4 => format!("{:.1} ms", us / 1e3),
        us if us < 1e6 => format!("{:.0} ms", us / 1e3),
        us => format!("{:.1} s", us / 1e6),
    }
}

fn size(bytes: f64) -> String {
    match bytes {
        bytes if bytes < 1e6 => format!("{:.0} KB", bytes / 1e3),
        bytes => format!("{:.1} MB", bytes / 1e6),
    }
}
