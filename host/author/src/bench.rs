//! `hookwright plugin bench`: what a call costs, beside a plugin that does nothing.
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use toml::Table;

use super::cases::{self, Case, Outcome};
use super::component;
use super::engine::{Engine, granted};
use hookwright_model::Name;
use hookwright_plugins::Spec;

/// Hands every event on as it is: `tests/guests/pass.wat`, as a component.
const PASS: &[u8] = include_bytes!("../guests/pass.wasm");
/// The event where no case is named.
const PUSH: &str = include_str!("../../samples/github-push.json");
/// One turn of one of the two; short, so that both see the same machine.
const TURN: Duration = Duration::from_millis(20);
const WARM_UP: usize = 50;

/// Measures a plugin's calls through the host's own engine, in turns with a
/// plugin that hands on every event as it is, and gives medians over the turns.
#[derive(Debug, Clone, clap::Args)]
pub struct BenchArgs {
    /// The component, or the folder of its project
    #[arg(default_value = ".", value_name = "PATH")]
    file: PathBuf,

    /// A case, as `hookwright plugin test` has them; a push of GitHub otherwise
    #[arg(long, value_name = "FILE")]
    case: Option<PathBuf>,

    /// The plugin's settings, as JSON; those of the case otherwise
    #[arg(long, value_name = "JSON")]
    settings: Option<String>,

    /// How long to measure, in seconds
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
}

/// What one of the two took.
struct Measured {
    /// Microseconds a call, the median of the turns' means.
    median: f64,
    /// Of all single calls.
    p99: f64,
    memory: Option<u64>,
}

pub(super) fn run(args: &BenchArgs, as_json: bool) -> Result<ExitCode> {
    let args = &BenchArgs { file: component::find(&args.file)?, ..args.clone() };
    let case = case(args)?;
    let folder = tempfile::tempdir()?;
    std::fs::copy(&args.file, folder.path().join("plugin.wasm"))
        .with_context(|| format!("can't read {}", args.file.display()))?;
    std::fs::write(folder.path().join("pass.wasm"), PASS)?;
    let names: [Name; 2] = ["plugin".parse()?, "pass".parse()?];
    let mut spec = case.spec(names[0].clone(), "plugin.wasm".into());
    spec.grants = granted(&args.file)?;
    if let Some(settings) = &args.settings {
        spec.config_json.clone_from(settings);
    }
    let specs = vec![spec, Spec::new(names[1].clone())];
    let time = Duration::from_secs(args.seconds);
    let (outcome, [own, pass]) =
        crate::block_on(measure(folder.path(), specs, &names, &case, time))?;
    let text = match as_json {
        true => hookwright_terminal::json(&as_value(&outcome, &own, &pass)),
        false => page(args, &case, &outcome, &own, &pass),
    };
    hookwright_terminal::print(&text);
    Ok(ExitCode::SUCCESS)
}

fn case(args: &BenchArgs) -> Result<Case> {
    match &args.case {
        Some(file) => cases::read_one(file),
        None => {
            let text = format!(
                "[event]\nsource = \"github\"\nkind = \"push\"\n\
                 headers = {{ x-github-event = \"push\" }}\nbody = {}\n",
                toml::Value::from(PUSH)
            );
            Case::parse(Path::new("push"), &text, &Table::new())
        }
    }
}

async fn measure(
    folder: &Path,
    specs: Vec<Spec>,
    names: &[Name; 2],
    case: &Case,
    time: Duration,
) -> Result<(Outcome, [Measured; 2])> {
    let engine = Engine::load(folder.to_owned(), specs, Vec::new(), None).await?;
    for name in names {
        if let Some(error) = engine.trouble(name) {
            bail!("the component does not load: {error}");
        }
    }
    let mut first = None;
    for _ in 0..WARM_UP {
        let answer = engine.ask(&names[0], &case.call()).await;
        if let Err(fault) = &answer.result
            && !matches!(Outcome::of(&answer.result).failure(), "retry" | "reject" | "other")
        {
            bail!("the plugin breaks on this event: {fault}");
        }
        first = Some(answer);
        engine.ask(&names[1], &case.call()).await;
    }
    let first = first.context("the warm-up makes a call")?;
    let (mut turns, mut calls) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut memory = [first.memory, None];
    let began = Instant::now();
    while began.elapsed() < time {
        for (at, name) in names.iter().enumerate() {
            let (turn, mut count) = (Instant::now(), 0_u32);
            while turn.elapsed() < TURN {
                let answer = engine.ask(name, &case.call()).await;
                calls[at].push(answer.took.as_secs_f64() * 1e6);
                memory[at] = memory[at].max(answer.memory);
                count += 1;
            }
            turns[at].push(turn.elapsed().as_secs_f64() * 1e6 / f64::from(count));
        }
    }
    let measured = [0, 1].map(|at| Measured {
        median: quantile(&mut turns[at], 0.5),
        p99: quantile(&mut calls[at], 0.99),
        memory: memory[at],
    });
    Ok((Outcome::of(&first.result), measured))
}

/// Of values that are sorted on the way; 0 of none.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the list")]
    let at = (last as f64 * share).round() as usize;
    values.get(at).copied().unwrap_or_default()
}

fn as_value(outcome: &Outcome, own: &Measured, pass: &Measured) -> Value {
    let one = |measured: &Measured| {
        json!({
            "calls_per_s": 1e6 / measured.median,
            "median_us": measured.median,
            "p99_us": measured.p99,
            "memory": measured.memory,
        })
    };
    json!({ "verdict": outcome.short(), "plugin": one(own), "pass_through": one(pass) })
}

fn page(
    args: &BenchArgs,
    case: &Case,
    outcome: &Outcome,
    own: &Measured,
    pass: &Measured,
) -> String {
    let mut out = format!(
        "{}, an event of {} bytes, fresh instances on one thread: {}\n\n",
        args.file.display(),
        case.event.body.len(),
        hookwright_model::printable(&outcome.short()),
    );
    out.push_str("                calls/s     a call       p99     memory\n");
    for (name, measured) in [("this plugin", own), ("pass-through", pass)] {
        let memory =
            measured.memory.map_or("-".into(), |bytes| format!("{} KiB", bytes.div_ceil(1024)));
        out.push_str(&format!(
            "{name:13}{:10.0} {:7.1} µs {:6.0} µs {memory:>10}\n",
            1e6 / measured.median,
            measured.median,
            measured.p99,
        ));
    }
    out.push_str(&format!("{:13}{:10} {:+7.1} µs\n", "its own work", "", own.median - pass.median));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_members() {
        let mut values = [5.0, 1.0, 3.0];
        assert_eq!(quantile(&mut values, 0.5).to_bits(), 3.0_f64.to_bits());
        assert_eq!(quantile(&mut values, 0.99).to_bits(), 5.0_f64.to_bits());
        assert_eq!(quantile(&mut [], 0.5).to_bits(), 0.0_f64.to_bits());
    }
}
