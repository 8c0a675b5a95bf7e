//! `hookwright rejected`: why requests of a source were refused.
use std::process::ExitCode;

use serde_json::Value;

use super::api::{Where, escaped};
use hookwright_model::date::moment;
use hookwright_model::printable;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A source, or `-` for requests that named no source.
    #[arg(allow_hyphen_values = true)]
    source: String,
}

pub(super) fn run(host: &Where<'_>, json: bool, args: &Args) -> anyhow::Result<ExitCode> {
    let path = format!("sources/{}/rejected", escaped(&args.source));
    let page = super::block_on(host.api()?.get(&path))?;
    if json {
        super::print(&super::json(&page));
        return Ok(ExitCode::SUCCESS);
    }
    let mut out = String::new();
    // The newest stands last, where a terminal shows it.
    for one in page["rejected"].as_array().into_iter().flatten().rev() {
        out.push_str(&entry(one));
    }
    if out.is_empty() {
        out.push_str("nothing was refused since the start\n");
    }
    super::print(&out);
    Ok(ExitCode::SUCCESS)
}

/// One request in a few lines, for people.
fn entry(one: &Value) -> String {
    let text = |key: &str| printable(one[key].as_str().unwrap_or_default());
    let mut out = format!(
        "{}  {}  {} {} from {}  {} {}: {}\n",
        moment(one["at_ms"].as_u64().unwrap_or_default()),
        text("request"),
        text("method"),
        text("path"),
        text("client"),
        one["status"],
        text("reason"),
        text("cause"),
    );
    for header in one["headers"].as_array().into_iter().flatten() {
        let part = |at: usize| printable(header[at].as_str().unwrap_or_default());
        out.push_str(&format!("    {}: {}\n", part(0), part(1)));
    }
    if let Some(bytes) = one["body_bytes"].as_u64() {
        out.push_str(&format!("    body, {bytes} bytes: {}\n", text("body")));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn an_entry_tells_all_and_steers_no_terminal() {
        let entry = super::entry(&json!({
            "at_ms": 0, "request": "req_1", "method": "POST", "path": "/in/s", "client": "192.0.2.7",
            "status": 401, "reason": "bad-signature", "cause": "it matches none",
            "headers": [["x-a", "b\u{1b}[1m"]], "body": "{}\n", "body_bytes": 3,
        }));
        let expected = "1970-01-01T00:00:00.000Z  req_1  POST /in/s from 192.0.2.7  401 bad-signature: \
                        it matches none\n    x-a: b\\u{1b}[1m\n    body, 3 bytes: {}\\n\n";
        assert_eq!(entry, expected);
    }
}
