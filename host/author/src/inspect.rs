//! `hookwright plugin inspect`: what a component is and which settings it knows, before it is trusted.
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::{component, settings_page};
use hookwright_model::Name;
use hookwright_model::printable;
use hookwright_plugins::{About, Shape, Sketch, Spec};

/// The contract's own interfaces, before their version.
const CONTRACT: &str = "hookwright:plugin/";
/// Those of them that every plugin may import.
const FREE: [&str; 2] = ["types", "log"];

/// Shows what a component is: name, version, contract, imports, and the settings
/// that it knows. It is asked within the host's limits; nothing else of it runs.
#[derive(Debug, Clone, clap::Args)]
pub struct InspectArgs {
    /// The component, or the folder of its project
    #[arg(default_value = ".", value_name = "PATH")]
    file: PathBuf,
}

pub(super) fn run(args: &InspectArgs, as_json: bool) -> anyhow::Result<ExitCode> {
    let args = &InspectArgs { file: component::find(&args.file)? };
    let shown = args.file.display();
    let wasm = std::fs::read(&args.file).with_context(|| format!("can't read {shown}"))?;
    let shape = hookwright_plugins::inspect(&wasm).with_context(|| shown.to_string())?;
    let name: Name = "inspected".parse()?;
    let spec = Spec { grants: wants(&shape), ..Spec::new(name) };
    let compiler = crate::compiler()?;
    let asked = crate::block_on(async {
        Ok(hookwright_plugins::sketch(&compiler, &spec, wasm.into()).await)
    })?;
    let (about, error) = match asked {
        Ok(Sketch { about, .. }) => (Some(about), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let code = u8::from(about.is_none());
    let text = if as_json {
        hookwright_terminal::json(&as_value(&shape, about.as_ref(), error.as_deref())?)
    } else {
        page(&shape, about.as_ref(), error.as_deref())
    };
    hookwright_terminal::print_before(&text, code);
    Ok(ExitCode::from(code))
}

/// What it imports of the contract beyond what every plugin may: the grants that it needs.
pub(super) fn wants(shape: &Shape) -> Vec<String> {
    let names = shape.imports.iter().filter_map(|import| {
        let name = import.strip_prefix(CONTRACT)?.split('@').next()?;
        // Which hosts, the settings say.
        let grant = if name == "http" { "http:HOST" } else { name };
        (!FREE.contains(&name)).then(|| grant.to_owned())
    });
    names.collect()
}

fn as_value(shape: &Shape, about: Option<&About>, error: Option<&str>) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(shape)?;
    value["wants"] = json!(wants(shape));
    if let Some(about) = about {
        value["name"] = json!(about.name);
        value["version"] = json!(about.version);
        value["summary"] = json!(about.summary);
        let schema = about.config_schema.as_deref();
        value["settings"] = match schema.map(serde_json::from_str::<Value>) {
            Some(Ok(schema)) => schema,
            _ => json!(schema),
        };
    }
    if let Some(error) = error {
        value["error"] = json!(error);
    }
    Ok(value)
}

fn page(shape: &Shape, about: Option<&About>, error: Option<&str>) -> String {
    let mut out = match about {
        Some(about) => head(about),
        None => "a component that does not say what it is\n".to_owned(),
    };
    out.push_str(&facts(shape));
    let wants = wants(shape);
    let wants = if wants.is_empty() { "none".to_owned() } else { wants.join(", ") };
    out.push_str(&format!("  grants     {wants}\n"));
    if let Some(about) = about {
        out.push_str(&settings_page::render(about.config_schema.as_deref()));
    }
    if let Some(error) = error {
        out.push_str(&format!("  trouble    {}\n", printable(error)));
    }
    out
}

/// Name, version and summary, as the component tells them.
pub(super) fn head(about: &About) -> String {
    format!(
        "{} {}: {}\n",
        printable(&about.name),
        printable(&about.version),
        printable(&about.summary)
    )
}

/// What the component's bytes show.
pub(super) fn facts(shape: &Shape) -> String {
    format!(
        "  digest     {}\n  contract   hookwright:plugin@{}\n  size       {} KiB\n  imports    {}\n",
        shape.digest,
        printable(&shape.contract),
        shape.size.div_ceil(1024),
        printable(&shape.imports.join(", ")),
    )
}
