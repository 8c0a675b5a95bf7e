//! `hookwright check`: all mistakes of the settings at once, the plugins' own among them.
use std::path::Path;
use std::process::ExitCode;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::app::plugins as settings;
use hookwright_config::{Config, Mistake, Mistakes, Sources};
use hookwright_plugins::{Compiler, LoadError, Spec};

/// Components that are checked at a time.
const AT_A_TIME: usize = 2;

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<Mistake>,
}

pub(super) fn run(path: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let (mistakes, warnings) = match Config::load(path, &Sources::process()) {
        Ok(config) => {
            // What `serve` makes of the settings before it runs, and by the same way.
            let unusable = crate::app::try_settings(&config).err().unwrap_or_default();
            let found = super::block_on(ask_plugins(&config))?;
            let warnings = config.warnings.iter().cloned().chain(found.warnings).collect();
            (unusable.iter().cloned().chain(found.mistakes).collect(), warnings)
        }
        Err(mistakes) => (mistakes, Mistakes::default()),
    };
    let code = u8::from(!mistakes.is_empty());
    if as_json {
        let answer = json!({ "mistakes": mistakes, "warnings": warnings });
        super::print_before(&super::json(&answer), code);
    } else {
        let colour = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let mut out = mistakes.render(colour);
        if !warnings.is_empty() {
            out.push_str(&format!("Allowed, but look at it:\n{}", warnings.render(colour)));
        }
        let summary = match mistakes.len() {
            0 => "no mistakes".to_owned(),
            1 => "1 mistake".to_owned(),
            many => format!("{many} mistakes"),
        };
        super::print_before(&format!("{out}{}: {summary}\n", path.display()), code);
    }
    Ok(ExitCode::from(code))
}

/// Takes each component with its settings through all of the host's checks, with the probe event:
/// a component that `serve` would not activate is a mistake.
pub(super) async fn ask_plugins(config: &Config) -> anyhow::Result<Found> {
    let specs = settings::specs(config);
    let compiler = hookwright_plugins::Compiler::this_program()?;
    let asked = specs.iter().map(|spec| ask(config, &compiler, spec));
    let all: Vec<Found> = stream::iter(asked).buffer_unordered(AT_A_TIME).collect().await;
    let mut found = Found::default();
    for one in all {
        found.mistakes.extend(one.mistakes);
        found.warnings.extend(one.warnings);
    }
    Ok(found)
}

async fn ask(config: &Config, compiler: &Compiler, spec: &Spec) -> Found {
    let file = config.plugins_dir.join(&spec.file);
    let wasm = match std::fs::read(&file) {
        Ok(wasm) => Bytes::from(wasm),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("the file {} is missing: no event gets through", file.display());
            let help = "put the component there; a running host takes it at once".to_owned();
            let warning = config.written.plugin_mistake(&spec.name, message, help);
            return Found { warnings: vec![warning], ..Found::default() };
        }
        Err(error) => {
            let error = LoadError::Unreadable(file, error.to_string());
            let mistakes = settings::mistakes(config, &spec.name, &error);
            return Found { mistakes, ..Found::default() };
        }
    };
    let mistakes = match hookwright_plugins::check(compiler, spec, wasm).await {
        Ok(_) => Vec::new(),
        Err(error) => settings::mistakes(config, &spec.name, &LoadError::Gate(error)),
    };
    Found { mistakes, ..Found::default() }
}
