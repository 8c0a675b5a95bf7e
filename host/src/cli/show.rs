//! `hookwright show`: what happened to one event, step by step.
use std::process::ExitCode;

use serde_json::Value;

use super::api::Where;
use hookwright_model::date::moment;
use hookwright_model::printable;
use hookwright_terminal::Paint;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The event's id, `evt_…`.
    event: String,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let id = printable(&args.event).replace(['/', '?', '#'], "");
    let event = super::block_on(host.api()?.get(&format!("events/{id}")))?;
    super::print(&if json { super::json(&event) } else { story(&event, Paint::stdout()) });
    Ok(ExitCode::SUCCESS)
}

/// An event's life, for people.
pub(super) fn story(event: &Value, paint: Paint) -> String {
    let text = |value: &Value| printable(value.as_str().unwrap_or_default());
    let mut out = format!(
        "{}  {} {}\n{}  received, {} bytes of {}\n",
        text(&event["id"]),
        text(&event["source"]),
        text(&event["kind"]),
        moment(event["received_ms"].as_u64().unwrap_or_default()),
        event["body_bytes"],
        match text(&event["content_type"]) {
            none if none.is_empty() => "unknown type".to_owned(),
            some => some,
        },
    );
    for record in event["rulings"].as_array().into_iter().flatten() {
        out.push_str(&verdict(record, paint));
    }
    if let Some(reason) = event["reason"].as_str() {
        out.push_str(&format!(
            "  {}: {}\n",
            paint.state(&text(&event["state"])),
            printable(reason)
        ));
    }
    for delivery in event["deliveries"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "  to {}: {}{}\n",
            text(&delivery["destination"]),
            paint.state(&text(&delivery["state"])),
            delivery["cause"]
                .as_str()
                .map(|cause| format!(", {}", printable(cause)))
                .unwrap_or_default(),
        ));
        for attempt in delivery["log"].as_array().into_iter().flatten() {
            out.push_str(&tried(attempt, paint));
        }
        if delivery["state"] == "waiting" {
            let due = moment(delivery["due_ms"].as_u64().unwrap_or_default());
            out.push_str(&format!("    {due}  due\n"));
        }
    }
    out
}

fn verdict(record: &Value, paint: Paint) -> String {
    let digest = record["digest"].as_str().unwrap_or("none").chars().take(12).collect::<String>();
    let reason = match &record["reason"] {
        Value::String(reason) => format!(": {}", printable(reason)),
        Value::Number(count) => format!(" to {count}"),
        _ => String::new(),
    };
    let name = printable(record["plugin"].as_str().unwrap_or_default());
    let decision = paint.state(record["decision"].as_str().unwrap_or_default());
    let mut out = format!("  {name} ({digest}) {decision}{reason}, {} µs\n", record["took_us"]);
    for line in record["log"].as_array().into_iter().flatten() {
        out.push_str(&format!("    log: {}\n", printable(line.as_str().unwrap_or_default())));
    }
    out
}

fn tried(attempt: &Value, paint: Paint) -> String {
    let end = match attempt["status"].as_u64() {
        Some(status) => paint.status(status),
        None if attempt["taken"] == true => paint.good("taken"),
        None => format!(
            "{}: {}",
            printable(attempt["cause"].as_str().unwrap_or_default()),
            printable(attempt["message"].as_str().unwrap_or_default())
        ),
    };
    let at = moment(attempt["at_ms"].as_u64().unwrap_or_default());
    let took_ms = attempt["took_us"].as_u64().unwrap_or_default() as f64 / 1_000.0;
    format!("    {at}  attempt {}: {end} in {took_ms:.1} ms\n", attempt["number"])
}
