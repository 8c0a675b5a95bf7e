//! `hookwright audit`: who changed what and when.
use std::process::ExitCode;

use serde_json::Value;

use super::api::{Where, query};
use hookwright_model::date::moment;
use hookwright_model::printable;
use hookwright_terminal::Paint;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only changes by this actor: a token's name, `local` or `settings`.
    #[arg(long)]
    who: Option<String>,
    /// Only changes whose action contains this text, such as `disable`.
    #[arg(long)]
    action: Option<String>,
    /// At most this many entries.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    /// Only entries with a smaller number: the next page.
    #[arg(long)]
    before: Option<u64>,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let pairs = [
        ("who", args.who.clone()),
        ("action", args.action.clone()),
        ("limit", Some(args.limit.to_string())),
        ("before", args.before.map(|number| number.to_string())),
    ];
    let page = super::block_on(host.api()?.get(&format!("audit{}", query(&pairs))))?;
    if json {
        super::print(&super::json(&page));
        return Ok(ExitCode::SUCCESS);
    }
    let paint = Paint::stdout();
    let mut out = String::new();
    if let Some(broken) = page["broken"].as_u64().filter(|broken| *broken > 0) {
        super::note(&paint.bad(&format!("{broken} lines of the audit log can't be read")));
    }
    for one in page["audit"].as_array().into_iter().flatten() {
        out.push_str(&line(one, paint));
    }
    if out.is_empty() {
        out.push_str("no changes\n");
    }
    if let Some(next) = page["next"].as_u64() {
        out.push_str(&format!("more: --before {next}\n"));
    }
    super::print(&out);
    Ok(ExitCode::SUCCESS)
}

fn line(one: &Value, paint: Paint) -> String {
    let text = |key: &str| printable(one[key].as_str().unwrap_or_default());
    let method = text("action").split(' ').next().unwrap_or_default().to_owned();
    let body =
        if one["body"].is_null() { String::new() } else { printable(&one["body"].to_string()) };
    let line = format!(
        "{}  {}  {}  {method} {}  {body}",
        moment(one["at_ms"].as_u64().unwrap_or_default()),
        text("who"),
        match one["status"].as_u64() {
            Some(status) => paint.status(status),
            None => paint.bad("not ended"),
        },
        text("path"),
    );
    format!("{}\n", line.trim_end())
}
