//! The table of the API's operations for the docs, made from its OpenAPI document.
use std::fmt::Write;

use serde_json::Value;

/// Markdown.
pub fn operations(api: &Value) -> String {
    let mut out = String::from("| request | scope | what |\n|---|---|---|\n");
    for (path, item) in api["paths"].as_object().into_iter().flatten() {
        for (method, own) in item.as_object().into_iter().flatten() {
            let path = path.trim_start_matches("/api/v1/");
            let scope = own["security"][0]["token"][0].as_str().unwrap_or_default();
            let what = own["summary"].as_str().unwrap_or_default();
            let method = method.to_uppercase();
            writeln!(out, "| `{method} {path}` | {scope} | {what} |")
                .expect("a string takes all that is written");
        }
    }
    out
}
