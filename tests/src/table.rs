//! The table of providers for the docs, made from the code's own and from the known answers.
use std::fmt::Write;

use hookwright_signing::{
    Encoding, Part, Place, Preset, Proof, Signature, Signed, TokenPlace, presets,
};

use crate::vectors;

/// Markdown.
pub fn table() -> String {
    let origins = vectors::origins();
    let mut out = String::from(
        "| scheme | provider | signed | kind | id | tolerance | methods | answer | body | handshake | known answers |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for preset in presets::ALL {
        let origins = origins.get(preset.name).map(|all| all.join("; ")).unwrap_or_default();
        let tolerance = preset.time.map_or("–".to_owned(), |time| match time.tolerance_s {
            seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
            seconds => format!("{seconds} s"),
        });
        let (kind, id) = match preset.name {
            "cloudevents" => {
                ("`ce-type` or `json:/type`".to_owned(), "source and id together".to_owned())
            }
            _ => (place(preset.kind), place(preset.id)),
        };
        let most = preset.max_body.map_or("–".to_owned(), |most| format!("{} MiB", most >> 20));
        writeln!(
            out,
            "| `{}` | {} | {} | {kind} | {id} | {tolerance} | {} | {} | {most} | {} | {origins} |",
            preset.name,
            preset.title,
            proof(preset),
            preset.methods.join(", "),
            preset.success,
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
            let also = preset.also.map_or(String::new(), |also| {
                format!("; or as `{}`, with a secret that begins with `whsec_`", also.name)
            });
            format!("nothing: the secret in {}{also}", places.join(" or "))
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
        TokenPlace::ClientState => "every `json:/value/N/clientState`".to_owned(),
    }
}

fn signature(preset: &Preset, signed: &Signed) -> String {
    let parts: Vec<String> = signed.message.iter().map(part).collect();
    let encoding = match signed.encoding {
        Encoding::Hex => "hex",
        Encoding::Base64 => "base64",
    };
    let algorithm = match preset.key {
        hookwright_signing::KeyForm::Standard => "Sha256 or Ed25519".to_owned(),
        _ => match &signed.other {
            None => format!("{:?}", signed.algorithm),
            Some(other) => {
                format!(
                    "{:?}, or {:?} where `{}` says so,",
                    signed.algorithm, other.algorithm, other.header
                )
            }
        },
    };
    let place = match (&signed.signature, signed.signature.headers) {
        (Signature { json: Some(pointer), form: None, .. }, _) => format!("`json:{pointer}`"),
        (Signature { json: Some(pointer), form: Some(field), .. }, _) => {
            format!("`json:{pointer}` or `form:{field}`")
        }
        (Signature { numbered: Some(start), .. }, _) => format!("`{start}1` to `{start}100`"),
        (_, ["x-shopify-hmac-sha256", second]) => {
            format!("`x-shopify-hmac-sha256` or `{second}`")
        }
        (_, names) => format!("`{}`", names.first().copied().unwrap_or_default()),
    };
    format!("{place}: {encoding} {algorithm} of {}", parts.join(" "))
}

fn part(part: &Part) -> String {
    match part {
        Part::Text(text) => format!("`{text}`"),
        Part::Id => "id".to_owned(),
        Part::Time => "time".to_owned(),
        Part::Method => "method".to_owned(),
        Part::Url | Part::HubspotUrl | Part::TwilioUrl => "URL".to_owned(),
        Part::Body => "body".to_owned(),
        Part::TwilioForm => "sorted form".to_owned(),
        Part::AdyenItem => "eight fields".to_owned(),
    }
}

fn place(at: Option<Place>) -> String {
    match at {
        None => "–".to_owned(),
        Some(Place::Header(names)) => {
            let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            names.join(" or ")
        }
        Some(Place::Json(pointer)) => format!("`json:{pointer}`"),
        Some(Place::Form(field)) => format!("`form:{field}`"),
        Some(Place::HeaderIs(name, value)) => format!("`{value}` in `{name}`"),
        Some(Place::First(places)) => {
            let each: Vec<String> = places.iter().map(|it| place(Some(*it))).collect();
            each.join(" or ")
        }
        Some(Place::Entry(prefix)) => format!("`{prefix}` beside the signature"),
    }
}
