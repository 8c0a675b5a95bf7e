//! `hookwright doctor`: what on this machine keeps the host from doing its work, each with its cure.
mod addresses;
mod certificates;
mod destinations;
mod disk;
mod finding;
mod machine;
mod plugins;

use std::path::Path;
use std::process::ExitCode;

use finding::{Finding, Findings};

use hookwright_config::{Config, Mistakes, Sources};

/// Checks the settings, the machine, the disk, certificates, plugins and
/// destinations. Sends no event: a destination only sees a connection that closes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Skip the checks that need the network: DNS lookups and connections.
    #[arg(long)]
    offline: bool,
}

pub(super) fn run(path: &Path, as_json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let findings = match Config::load(path, &Sources::process()) {
        Ok(config) => super::block_on(examine(path, &config, args.offline))?,
        Err(mistakes) => {
            let mut found = Findings::default();
            settings(&mut found, &mistakes);
            machine::clock(&mut found);
            found
        }
    };
    let code = u8::from(findings.any_bad());
    let out = if as_json {
        super::json(&findings.json())
    } else {
        findings.text(std::io::IsTerminal::is_terminal(&std::io::stdout()))
    };
    super::print_before(&out, code);
    Ok(ExitCode::from(code))
}

async fn examine(path: &Path, config: &Config, offline: bool) -> anyhow::Result<Findings> {
    let mut found = Findings::default();
    let shown = path.display();
    let counts = format!(
        "{shown}: no mistakes; {} sources, {} destinations, {} plugins; every secret is there",
        config.sources.len(),
        config.destinations.len(),
        config.plugins.len()
    );
    found.push(Finding::fine("settings", counts));
    for warning in config.warnings.iter() {
        found.push(mistake(warning, Finding::warning));
    }
    machine::clock(&mut found);
    machine::open_files(&mut found, config);
    disk::examine(&mut found, config);
    addresses::examine(&mut found, config).await;
    certificates::examine(&mut found, config);
    plugins::examine(&mut found, config).await?;
    if !offline {
        destinations::examine(&mut found, config).await;
    }
    Ok(found)
}

fn settings(found: &mut Findings, mistakes: &Mistakes) {
    for one in mistakes.iter() {
        found.push(mistake(one, Finding::bad));
    }
}

fn mistake(
    one: &hookwright_config::Mistake,
    level: fn(&'static str, String, String) -> Finding,
) -> Finding {
    let key = if one.key.is_empty() { String::new() } else { format!("`{}` ", one.key) };
    level("settings", format!("{}: {key}{}", one.place, one.message), one.help.clone())
}
