//! `hookwright plugin test`: cases, each an event with the verdict that is expected, through the engine that serves.
mod body;
mod canned;
mod case;
mod difference;
mod exchange;
mod json_text;
mod outcome;
mod record;
mod state;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use toml::Table;

use super::component;
use super::engine::Engine;
use hookwright_model::printable;
use hookwright_plugins::{GateError, LoadError, Spec};

pub(super) use case::Case;
pub use difference::difference;
pub use outcome::Outcome;

use canned::Canned;
use state::State;

/// Runs a plugin's cases through the host's own engine, with its limits, and
/// shows where a verdict is another one than expected.
///
/// A case is a file of TOML in the folder `cases`: `[event]`, `[settings]`,
/// `[limits]`, `[[http]]` and `[expect]`. What all cases share stands in
/// `defaults.toml`. Nothing is sent: what the plugin asks other hosts, the
/// tables `[[http]]` answer.
#[derive(Debug, Clone, clap::Args)]
pub struct TestArgs {
    /// The project, or a folder of cases
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,

    /// The component, or the folder of its project; the one in this project's `plugins-built`
    /// otherwise
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,

    /// Only cases with this text in their name
    #[arg(long, value_name = "TEXT")]
    case: Option<String>,

    /// Write what the plugin decides as the expectation of each case
    #[arg(long)]
    record: bool,
}

/// What came of one case.
struct Ran {
    name: String,
    result: Mark,
    /// In a few words.
    got: String,
    /// What was not as expected of its requests to other hosts.
    requests: Vec<String>,
    difference: Option<String>,
    took: Duration,
    memory: Option<u64>,
    log: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Pass,
    Differs,
    /// The case expects nothing yet.
    Open,
    Recorded,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "ok",
            Self::Differs => "differs",
            Self::Open => "no expectation",
            Self::Recorded => "recorded",
        }
    }

    fn is_good(self) -> bool {
        matches!(self, Self::Pass | Self::Recorded)
    }
}

pub(super) fn run(args: &TestArgs, as_json: bool) -> Result<ExitCode> {
    let (project, folder) = folders(&args.dir)?;
    let component = match &args.plugin {
        Some(path) => component::find(path)?,
        None => component::find(&project)?,
    };
    let mut cases = read(&folder)?;
    if let Some(text) = &args.case {
        cases.retain(|case| case.name.contains(text));
    }
    if cases.is_empty() {
        bail!("no case in {}: write one, see `hookwright plugin test --help`", folder.display());
    }
    let all = crate::block_on(run_all(&component, &cases, args.record))?;
    let failed = all.iter().filter(|ran| !ran.result.is_good()).count();
    let text = match as_json {
        true => hookwright_terminal::json(&as_value(&all)),
        false => page(&all),
    };
    hookwright_terminal::print_before(&text, u8::from(failed > 0));
    Ok(ExitCode::from(u8::from(failed > 0)))
}

/// The project, and its folder of cases.
fn folders(dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let inside = dir.join("cases");
    if inside.is_dir() {
        return Ok((dir.to_owned(), inside));
    }
    if !dir.is_dir() {
        bail!("{} is not a folder", dir.display());
    }
    Ok((dir.join(".."), dir.to_owned()))
}

fn read(folder: &Path) -> Result<Vec<Case>> {
    let listed = std::fs::read_dir(folder);
    let listed = listed.with_context(|| format!("can't read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = listed
        .flatten()
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    files.retain(|file| file.file_name() != Some(case::DEFAULTS.as_ref()));
    let defaults = defaults(folder)?;
    files.iter().map(|file| Case::read(file, &defaults)).collect()
}

/// One case, with what its folder's cases share.
///
/// # Errors
/// As [`Case::read`].
pub(super) fn read_one(file: &Path) -> Result<Case> {
    Case::read(file, &defaults(file.parent().unwrap_or(Path::new("")))?)
}

fn defaults(folder: &Path) -> Result<Table> {
    let shared = folder.join(case::DEFAULTS);
    let defaults: Table = match std::fs::read_to_string(&shared) {
        Ok(text) => text.parse().with_context(|| shared.display().to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Table::new(),
        Err(error) => {
            return Err(error).with_context(|| format!("can't read {}", shared.display()));
        }
    };
    if defaults.contains_key("http") {
        // Each must be asked for, and hardly by all cases alike.
        bail!("{}: [[http]] stands in the case that asks: move it there", shared.display());
    }
    Ok(defaults)
}

/// What tells one loading of the component from another.
type Wanted = (String, Vec<String>, Vec<String>, [u128; 4], State);

fn wanted(spec: &Spec, case: &Case) -> Wanted {
    let limits = &spec.limits;
    let numbers =
        [limits.time.as_nanos(), limits.memory.into(), limits.output.into(), limits.log.into()];
    let (headers, grants) = (spec.headers.clone(), spec.grants.clone());
    (spec.config_json.clone(), headers, grants, numbers, case.state.clone())
}

async fn run_all(component: &Path, cases: &[Case], record: bool) -> Result<Vec<Ran>> {
    let mut specs: BTreeMap<Wanted, Spec> = BTreeMap::new();
    let mut rows = Vec::new();
    for case in cases {
        let name = format!("case-{}", specs.len()).parse()?;
        let spec = case.spec(name, PathBuf::new());
        specs.entry(wanted(&spec, case)).or_insert_with(|| {
            rows.extend(state::rows(&spec.name, &case.state));
            spec
        });
    }
    let canned = Arc::new(Canned::default());
    let all_specs = specs.values().cloned().collect();
    let engine = Engine::open(component, all_specs, rows, canned.clone()).await?;
    let mut all = Vec::with_capacity(cases.len());
    for case in cases {
        let spec = &specs[&wanted(&case.spec("case".parse()?, PathBuf::new()), case)];
        all.push(run_one(&engine, &canned, spec, case, record).await?);
    }
    Ok(all)
}

async fn run_one(
    engine: &Engine,
    canned: &Canned,
    spec: &Spec,
    case: &Case,
    record: bool,
) -> Result<Ran> {
    let mut ran = Ran {
        name: case.name.clone(),
        result: Mark::Open,
        got: String::new(),
        requests: Vec::new(),
        difference: None,
        took: Duration::ZERO,
        memory: None,
        log: Vec::new(),
    };
    let exact = case.expected.as_ref().is_some_and(|expected| expected.exact);
    canned.begin(&case.http, exact);
    let got = match engine.trouble(&spec.name) {
        Some(LoadError::Gate(GateError::Config(issues))) => {
            let lines = issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message));
            Outcome::failed("settings", lines.collect::<Vec<_>>().join("; "))
        }
        Some(error) => bail!("the component does not load: {error}"),
        None => {
            let answer = engine.ask(&spec.name, &case.call()).await;
            (ran.took, ran.memory, ran.log) = (answer.took, answer.memory, answer.log);
            let written = answer.changes.as_ref().filter(|_| answer.result.is_ok());
            let state = written.map(|changes| state::texts(changes)).unwrap_or_default();
            Outcome { state, ..Outcome::of(&answer.result) }
        }
    };
    (ran.got, ran.requests) = (got.short(), canned.end());
    if let Some(expected) = &case.expected {
        ran.difference = difference(&expected.outcome, &got, exact, ["expected", "got"]);
        ran.result = if ran.difference.is_some() { Mark::Differs } else { Mark::Pass };
    }
    if !ran.requests.is_empty() {
        // What it decides without the answers that it needs is nothing to record.
        ran.result = Mark::Differs;
    } else if record && ran.result != Mark::Pass {
        record::write(&case.file, &got, exact)?;
        ran.result = Mark::Recorded;
    }
    Ok(ran)
}

fn page(all: &[Ran]) -> String {
    let mut out = String::new();
    let width = all.iter().map(|ran| ran.name.chars().count()).max().unwrap_or_default();
    for ran in all {
        let memory = ran.memory.map(|bytes| format!(", {} KiB", bytes.div_ceil(1024)));
        let head = format!(
            "{:14}  {:width$}  {} ({} µs{})\n",
            ran.result.word(),
            printable(&ran.name),
            printable(&ran.got),
            ran.took.as_micros(),
            memory.unwrap_or_default(),
        );
        out.push_str(&head);
        if ran.result.is_good() {
            continue;
        }
        let texts = ran.requests.iter().chain(&ran.difference);
        let lines = texts.flat_map(|text| text.lines());
        lines.for_each(|line| out.push_str(&format!("    {}\n", printable(line))));
        ran.log.iter().for_each(|line| out.push_str(&format!("    log: {}\n", printable(line))));
    }
    let count = |mark: Mark| all.iter().filter(|ran| ran.result == mark).count();
    let parts =
        [Mark::Pass, Mark::Recorded, Mark::Differs, Mark::Open].map(|mark| (count(mark), mark));
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, mark)| format!("{count} {}", mark.word())).collect();
    out.push_str(&format!("{}\n", parts.join(", ")));
    if all.iter().any(|ran| !ran.result.is_good() && ran.requests.is_empty()) {
        out.push_str("where it is as it should be: hookwright plugin test --record, then look at the change\n");
    }
    out
}

fn as_value(all: &[Ran]) -> Value {
    let each = |ran: &Ran| {
        json!({
            "case": ran.name,
            "result": ran.result.word(),
            "verdict": ran.got,
            "requests": ran.requests,
            "difference": ran.difference,
            "took_us": u64::try_from(ran.took.as_micros()).unwrap_or(u64::MAX),
            "memory": ran.memory,
            "log": ran.log,
        })
    };
    let failed = all.iter().filter(|ran| !ran.result.is_good()).count();
    json!({ "cases": all.iter().map(each).collect::<Vec<_>>(), "failed": failed })
}
