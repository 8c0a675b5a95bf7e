//! Measures the host against what the machine can do at all, in one run, interleaved, and prints ratios.
//!
//! Load, sink and subject share the machine, so absolute figures are small;
//! the ratios are what counts. Each figure is the median of the rounds.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it prints its results")]

mod bare;
mod calls;
mod commit;
mod languages;
mod load;
mod memory;
mod neighbour;
mod schemes;
mod subject;

use std::path::PathBuf;

use subject::Subject;

struct Options {
    plugins: PathBuf,
    rounds: usize,
    events: usize,
    memory_events: usize,
    changed: Option<u64>,
    only: Option<String>,
    neighbour: bool,
    languages: bool,
    /// Into the guide, instead of printing.
    write: bool,
}

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let mut options = Options {
        plugins: "target/plugins/built".into(),
        rounds: 5,
        events: 60_000,
        memory_events: 0,
        changed: None,
        only: None,
        neighbour: false,
        languages: false,
        write: false,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| anyhow::anyhow!("{arg} needs a value"));
        match arg.as_str() {
            "serve-bare" => return bare::serve(None),
            "serve-forward" => return bare::serve(Some(value()?.parse()?)),
            "load-plugins" => return languages::load(value()?.as_ref(), &value()?),
            "--plugins" => options.plugins = value()?.into(),
            "--rounds" => options.rounds = value()?.parse()?,
            "--events" => options.events = value()?.parse()?,
            "--neighbour" => options.neighbour = true,
            "--languages" => options.languages = true,
            "--write" => options.write = true,
            "--only" => options.only = Some(value()?),
            "--memory" => options.memory_events = value()?.parse()?,
            "--schemes" => options.changed = Some(value()?.parse()?),
            other => anyhow::bail!(
                "unknown argument `{other}`; there are --plugins DIR, --rounds N, --events N, --only TITLE, --memory N, --neighbour, --languages [--write], --schemes CHANGED"
            ),
        }
    }
    if options.memory_events > 0 {
        return memory::run(options.memory_events);
    }
    if let Some(changed) = options.changed {
        return schemes::run(options.rounds, changed);
    }
    if options.languages {
        return languages::run(
            &options.plugins,
            options.rounds,
            options.write,
            options.only.as_deref(),
        );
    }
    if options.neighbour {
        return neighbour::run(options.rounds);
    }
    let wanted = |part: &str| options.only.as_deref().is_none_or(|title| title == part);
    if calls::is_wanted(options.only.as_deref()) {
        calls::run(&options.plugins, options.rounds, options.only.as_deref())?;
    }
    if wanted("commits") {
        commit::run(options.rounds)?;
    }
    paths(&options)
}

/// One subject's events a second in each round.
struct Row {
    subject: Subject,
    rates: Vec<f64>,
    cpu_us: Vec<f64>,
}

fn paths(options: &Options) -> anyhow::Result<()> {
    let wanted = |subject: &&Subject| {
        options.only.as_ref().is_none_or(|title| subject.title().contains(title))
    };
    let mut rows: Vec<Row> = Subject::ALL
        .iter()
        .filter(wanted)
        .map(|subject| Row { subject: *subject, rates: Vec::new(), cpu_us: Vec::new() })
        .collect();
    for round in 0..options.rounds {
        for row in &mut rows {
            let run = row.subject.measure(&options.plugins, options.events)?;
            row.rates.push(run.rate);
            row.cpu_us.push(run.cpu_us);
        }
        eprintln!("round {} of {} done", round + 1, options.rounds);
    }
    println!(
        "\nwhole paths, {} events a round, 64 connections, about 1 KiB of JSON",
        options.events
    );
    println!(
        "{:<34} {:>10} {:>10} {:>10} {:>12} {:>8}",
        "", "median/s", "min", "max", "CPU µs", "ratio"
    );
    let rates: Vec<(Subject, f64)> =
        rows.iter().map(|row| (row.subject, median(&row.rates))).collect();
    for row in &rows {
        let rate = median(&row.rates);
        let limit = rates.iter().find(|(subject, _)| *subject == row.subject.limit());
        let ratio = limit.map_or(1.0, |(_, limit)| rate / limit);
        let low = row.rates.iter().copied().fold(f64::INFINITY, f64::min);
        let high = row.rates.iter().copied().fold(0.0, f64::max);
        println!(
            "{:<34} {:>10.0} {:>10.0} {:>10.0} {:>12.1} {:>8.2}",
            row.subject.title(),
            rate,
            low,
            high,
            median(&row.cpu_us),
            ratio
        );
    }
    Ok(())
}

/// The middle of the rounds.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

/// A guest of `tests/guests/`.
fn guest(name: &str) -> Vec<u8> {
    hookwright_testkit::guest::guest(&format!("guests/{name}"))
}
