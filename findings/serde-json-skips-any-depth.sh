#!/usr/bin/env bash
# crates.io serde_json 1.0.154: the recursion limit of 128 levels, and a struct that names one field of a deep document.
# One would guess: whatever from_str takes is at most 128 levels deep, so a service that reads a type and hands the text on bounds the depth.
# True: only what is built into values counts. Fields that the type does not name, IgnoredAny and RawValue are skipped at any depth: here 100,000 levels pass, and Value refuses the same text. The next reader of a text that was checked by its type needs a bound of its own.
set -euo pipefail
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
cargo init --quiet --name finding --vcs none
cat >> Cargo.toml <<'TOML'
serde = { version = "=1.0.229", features = ["derive"] }
serde_json = { version = "=1.0.154", features = ["raw_value"] }
TOML
cat > src/main.rs <<'RS'
#[derive(serde::Deserialize)]
struct Event { id: String }
#[derive(serde::Deserialize)]
struct Whole<'a> { #[serde(borrow)] data: &'a serde_json::value::RawValue }
fn main() {
    let nested = |levels: usize| format!(r#"{{"id":"e1","data":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
    let (shallow, deep) = (nested(100), nested(100_000));
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).map(drop).map_err(|error| error.to_string());
    let named = serde_json::from_str::<Event>(&deep).map(|event| event.id).map_err(|error| error.to_string());
    let raw = serde_json::from_str::<Whole>(&deep).map(|whole| whole.data.get().len()).map_err(|error| error.to_string());
    println!("serde_json 1.0.154: Value of 100 levels {:?}, of 100,000 {:?}; a struct {named:?}; RawValue's bytes {raw:?}", value(&shallow), value(&deep));
    assert!(value(&shallow).is_ok() && value(&deep).unwrap_err().contains("recursion limit"));
    assert_eq!((named.as_deref(), raw), (Ok("e1"), Ok(200_000)));
}
RS
cargo run --quiet
