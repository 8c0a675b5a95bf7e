//! `hookwright plugins`: the active versions, and how they perform.
use std::process::ExitCode;

use serde_json::Value;

use super::api::Where;
use hookwright_model::printable;
use hookwright_terminal::{Paint, columns};

pub(super) fn run(host: &Where<'_>, json: bool) -> anyhow::Result<ExitCode> {
    let page = super::block_on(host.api()?.get("plugins?limit=1000"))?;
    super::print(&if json { super::json(&page) } else { list(&page, Paint::stdout()) });
    Ok(ExitCode::SUCCESS)
}

fn list(page: &Value, paint: Paint) -> String {
    let heads =
        ["NAME", "STATE", "VERSION", "DIGEST", "CALLS 5 MIN", "FAILED", "P50", "P99", "GRANTS"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let mut notes = String::new();
    for one in page["plugins"].as_array().into_iter().flatten() {
        let text = |key: &str| printable(one[key].as_str().unwrap_or("-"));
        let (quarantined, loaded) = (!one["quarantine"].is_null(), !one["digest"].is_null());
        let state = match (quarantined, loaded) {
            (true, _) => "quarantined",
            (_, false) => "not loaded",
            _ => "active",
        };
        let grants = one["grants"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let recent = &one["recent"];
        let time = |key: &str| recent[key].as_f64().map_or("-".to_owned(), |us| format!("{us} µs"));
        rows.push(vec![
            text("name"),
            paint.state(state),
            text("version"),
            text("digest").chars().take(12).collect(),
            recent["calls"].to_string(),
            recent["failed"].to_string(),
            time("p50_us"),
            time("p99_us"),
            printable(&grants.collect::<Vec<_>>().join(", ")),
        ]);
        for why in [&one["error"], &one["quarantine"]["why"]].into_iter().filter_map(Value::as_str)
        {
            notes.push_str(&format!("{}: {}\n", text("name"), paint.bad(why)));
        }
        if !one["candidate"].is_null() {
            notes.push_str(&candidate(&text("name"), &one["candidate"]));
        }
    }
    if rows.len() == 1 { "no plugins\n".to_owned() } else { columns(&rows) + &notes }
}

fn candidate(name: &str, one: &Value) -> String {
    let text = |key: &str| printable(one[key].as_str().unwrap_or("not loaded"));
    let digest: String = text("digest").chars().take(12).collect();
    format!(
        "{name}: beside it {digest} ({}): {} same, {} different, {} mended, {} failed\n",
        text("mode"),
        one["same"],
        one["different"],
        one["mended"],
        one["failed"],
    )
}
