//! `hookwright check`: all mistakes of the settings at once.
use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use crate::config::{Config, Mistakes, Sources};

pub(super) fn run(path: &Path, as_json: bool) -> anyhow::Result<ExitCode> {
    let (mistakes, warnings) = match Config::load(path, &Sources::process()) {
        Ok(config) => (Mistakes::default(), config.warnings),
        Err(mistakes) => (mistakes, Mistakes::default()),
    };
    let code = u8::from(!mistakes.is_empty());
    if as_json {
        let answer = json!({ "mistakes": mistakes, "warnings": warnings });
        super::print_before(&format!("{answer:#}\n"), code);
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
