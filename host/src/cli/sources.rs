//! `hookwright sources`: who may post, and how each provider is set up.
use std::process::ExitCode;

use anyhow::bail;
use serde_json::Value;

use super::api::Where;
use hookwright_model::printable;
use hookwright_terminal::{Paint, columns};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Show one source: its URL, and the steps to take at the provider.
    source: Option<String>,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let page = super::block_on(host.api()?.get("sources?limit=1000"))?;
    let all = page["sources"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(name) = &args.source else {
        let told = if json { super::json(&page) } else { list(all, Paint::stdout()) };
        super::print(&told);
        return Ok(ExitCode::SUCCESS);
    };
    let Some(own) = all.iter().find(|one| one["name"] == name.as_str()) else {
        let known: Vec<_> = all.iter().filter_map(|one| one["name"].as_str()).collect();
        bail!("no source `{}`; there are: {}", printable(name), known.join(", "));
    };
    super::print(&if json { super::json(own) } else { show(own) });
    Ok(ExitCode::SUCCESS)
}

fn list(all: &[Value], paint: Paint) -> String {
    let heads = ["NAME", "SCHEME", "5 MIN", "REFUSED", "UNUSUAL", "URL"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for one in all {
        let text = |key: &str| printable(one[key].as_str().unwrap_or_default());
        let unusual: Vec<_> =
            one["anomalies"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let recent = &one["recent"];
        rows.push(vec![
            text("name"),
            text("scheme"),
            format!("{} events, {} refused", recent["events"], recent["refused"]),
            one["rejected"].to_string(),
            paint.bad(&unusual.join(", ")),
            text("url"),
        ]);
    }
    if rows.len() == 1 { "no sources\n".to_owned() } else { columns(&rows) }
}

fn show(own: &Value) -> String {
    let text = |key: &str| printable(own[key].as_str().unwrap_or_default());
    let mut out = format!("{} ({})\n  {}\n", text("name"), text("title"), text("url"));
    for (number, step) in own["setup"].as_array().into_iter().flatten().enumerate() {
        let step = printable(step.as_str().unwrap_or_default()).replace('*', "");
        out.push_str(&format!("  {}. {step}\n", number + 1));
    }
    out
}
