//! The known answers in `tests/vectors/`: requests whose signatures are not of our making.
//!
//! `published.json` holds test vectors of signatures as providers and RFCs publish them, byte for byte, names and ids included:
//! changed or signed again they would prove nothing. The payloads of the other files are of our own making, signed or accepted
//! by the providers' packages (`make.mjs`, `make.py`).
use std::collections::BTreeMap;
use std::path::Path;

use hookwright_signing::{PresetScheme, Sent, Verify, presets};

/// One request that its scheme must take.
#[derive(Debug)]
pub struct Vector {
    pub scheme: String,
    /// What made it, or what took it.
    pub origin: String,
    pub verify: Verify,
    /// Seconds since 1970.
    pub at_s: u64,
    pub sent: Sent,
    /// What its maker reads as kind and as id, where it says so.
    pub kind: Option<String>,
    pub id: Option<String>,
}

/// All of them, those that the providers publish first.
pub fn all() -> Vec<Vector> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let read = |name: &str| {
        let text = std::fs::read(folder.join(name)).expect("a file of vectors");
        let list: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("a JSON list");
        list
    };
    let files = ["published.json", "sdk.json", "formula.json"];
    files.into_iter().flat_map(read).map(|vector| of(&vector)).collect()
}

/// Where each scheme's answers come from.
pub fn origins() -> BTreeMap<String, Vec<String>> {
    let mut origins: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for vector in all() {
        origins.entry(vector.scheme).or_default().push(vector.origin);
    }
    origins
}

/// A JSON Web Key Set.
pub fn jwks() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/jwt.json");
    let text = std::fs::read(file).expect("the file of tokens");
    let json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    json["jwks"].to_string()
}

fn of(json: &serde_json::Value) -> Vector {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let scheme = text("scheme").expect("a scheme");
    let preset = presets::named(&scheme).unwrap_or_else(|| panic!("no preset {scheme}"));
    let secret = text("secret").expect("a secret");
    let key = preset.key.read(secret.as_bytes());
    let key = key.unwrap_or_else(|error| panic!("{scheme}: {error}"));
    let headers = json["headers"].as_object().expect("headers").iter();
    let headers = headers
        .map(|(name, value)| (name.clone(), value.as_str().expect("a header's text").to_owned()));
    Vector {
        origin: text("origin").expect("an origin"),
        verify: Verify::Preset(PresetScheme {
            url: text("url"),
            ..PresetScheme::new(preset, [key])
        }),
        at_s: json["at"].as_u64().expect("a time"),
        kind: text("kind"),
        id: text("id"),
        sent: Sent {
            headers: headers.collect(),
            query: text("query"),
            body: text("body").expect("a body").into_bytes(),
        },
        scheme,
    }
}
