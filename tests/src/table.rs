//! The table of providers for the docs, made from the code's own and from the known answers.
use std::fmt::Write;

use hookwright::signing::{Encoding, Part, Place, Preset, Proof, Signed, TokenPlace, presets};

use crate::vectors;

/// Markdown.
pub fn table() -> String {
    let origins = vectors::origins();
    let mut out = String::from(
        "| scheme | provider | signed | kind | id | tolerance | handshake | known answers |\n|---|---|---|---|---|---|---|---|\n",
    );
    for preset in presets::ALL {
        let origins = origins.get(preset.name).map(|all| all.join("; ")).unwrap_or_default();
        let tolerance =
            preset.time.map_or("–".to_owned(), |time| format!("{} s", time.tolerance_s));
        writeln!(
            out,
            "| `{}` | {} | {} | {} | {} | {tolerance} | {} | {origins} |",
            preset.name,
            preset.title,
            proof(preset),
            place(preset.kind),
            place(preset.id),
            preset.handshake.describe(),
        )
        .expect("a string takes all that is written");
    }
    out
}

fn proof(preset: &Preset) -> String {
    match &preset.proof {
        Proof::Token(places) => {
            let places: Vec<String> = places.iter().map(token).collect();
            format!("nothing: the secret in {}", places.join(" or "))
        }
        Proof::Signed(signed) => signature(preset, signed),
    }
}

fn token(place: &TokenPlace) -> String {
    match place {
        TokenPlace::Basic => "`authorization: Basic`".to_owned(),
        TokenPlace::Bearer => "`authorization: Bearer`".to_owned(),
        TokenPlace::Header(name) => format!("`{name}`"),
        TokenPlace::Query(name) => format!("the query's `{name}`"),
    }
}

fn signature(preset: &Preset, signed: &Signed) -> String {
    let parts: Vec<String> = signed.message.iter().map(part).collect();
    let encoding = match signed.encoding {
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
    };
    let algorithm = match preset.key {
        hookwright::signing::KeyForm::Standard => "Sha256 or Ed25519".to_owned(),
        _ => format!("{:?}", signed.algorithm),
    };
    let place = match (signed.signature.json, signed.signature.headers) {
        (Some(pointer), _) => format!("`json:{pointer}`"),
        (None, names) => {
            let first = names.first().copied().unwrap_or_default();
            let more = if names.len() > 2 { " and so on" } else { "" };
            format!("`{first}`{more}")
        }
    };
    format!("{place}: {encoding} {algorithm} of {}", parts.join(" "))
}

fn part(part: &Part) -> String {
    match part {
        Part::Text(text) => format!("`{text}`"),
        Part::Id => "id".to_owned(),
        Part::Time => "time".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url | Part::HubspotUrl => "URL".to_owned(),
        Part::Body => "body".to_owned(),
        Part::TwilioForm => "sorted form".to_owned(),
        Part::AdyenItem => "eight fields".to_owned(),
    }
}

fn place(place: Option<Place>) -> String {
    match place {
        None => "–".to_owned(),
        Some(Place::Header(names)) => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(" or ")
        }
        Some(Place::Json(pointer)) => format!("`json:{pointer}`"),
        Some(Place::Entry(prefix)) => format!("`{prefix}` beside the signature"),
    }
}
