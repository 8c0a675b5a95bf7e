//! `hookwright plugin check`: the host's gate, before the host meets the component.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::{component, inspect};
use hookwright_model::Name;
use hookwright_plugins::{Report, Spec};

/// Checks a component as the host does when it loads one: contract version,
/// imports, compiling, `init` with the settings, a snapshot, and a probe event.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckArgs {
    /// The component, or the folder of its project
    #[arg(default_value = ".", value_name = "PATH")]
    file: PathBuf,

    /// The plugin's settings, as JSON
    #[arg(long, default_value = "{}", value_name = "JSON")]
    settings: String,
}

pub(super) fn run(args: &CheckArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let args = &CheckArgs { file: component::find(&args.file)?, ..args.clone() };
    let shown = args.file.display();
    let wasm = std::fs::read(&args.file).with_context(|| format!("can't read {shown}"))?;
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    let name: Name = stem.parse().with_context(|| format!("{shown}: the file's name"))?;
    // A host's settings decide whether it may have them; the gate reports what is not a plugin.
    let grants =
        hookwright_plugins::inspect(&wasm).map(|shape| inspect::wants(&shape)).unwrap_or_default();
    let spec = Spec { config_json: args.settings.clone(), grants, ..Spec::new(name) };
    let compiler = crate::compiler()?;
    let checked = crate::block_on(async {
        Ok(hookwright_plugins::check(&compiler, &spec, wasm.into()).await)
    })?;
    match checked {
        Ok(report) if as_json => {
            hookwright_terminal::print(&hookwright_terminal::json(&serde_json::to_value(&report)?));
        }
        Ok(report) => hookwright_terminal::print(&page(&report)),
        Err(error) if as_json => {
            hookwright_terminal::print(&hookwright_terminal::json_line(
                &json!({ "error": error.to_string() }),
            ));
            return Ok(ExitCode::FAILURE);
        }
        Err(error) => return Err(error).with_context(|| shown.to_string()),
    }
    Ok(ExitCode::SUCCESS)
}

fn page(report: &Report) -> String {
    let (shape, about) = (&report.shape, &report.about);
    let mut out = format!("{}{}", inspect::head(about), inspect::facts(shape));
    let grants = inspect::wants(shape);
    let grants = if grants.is_empty() { "none".to_owned() } else { grants.join(", ") };
    out.push_str(&format!("  grants     {grants}\n"));
    let schema = if about.config_schema.is_some() { "with a schema" } else { "none" };
    out.push_str(&format!("  settings   {schema}\n"));
    let snapshot = match report.snapshot_size {
        Some(bytes) => format!("{} KiB, init took {} µs", bytes.div_ceil(1024), report.init_us),
        None => "none: every event pays for init".to_owned(),
    };
    out.push_str(&format!("  snapshot   {snapshot}\n"));
    out.push_str(&format!(
        "  native     {} KiB, compiled in {} ms\n  probe      {}\n",
        report.native_size.div_ceil(1024),
        report.compile_ms,
        report.probe,
    ));
    for line in &report.log {
        out.push_str(&format!("  log        {line}\n"));
    }
    for warning in &report.warnings {
        out.push_str(&format!("  warning    {warning}\n"));
    }
    out
}
