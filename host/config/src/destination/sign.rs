//! `sign` of a destination: how the receiver knows that a delivery is ours.
use std::sync::LazyLock;

use super::super::kind::{Choice, HEADER, List, Text};
use super::super::reader::Section;
use super::super::secret::{Dated, is_owned};
use super::super::unit::Fault;
use super::super::verify::{ALGORITHMS, ENCODINGS, need_secrets};
use hookwright_signing::{
    Format, KeyForm, Preset, Sign, SigningKey, Template, TemplateError, formats,
};

#[derive(Clone, Copy)]
enum Scheme {
    None,
    Hmac,
    Preset(&'static Preset),
}

static SCHEMES: LazyLock<Vec<(&'static str, Scheme)>> = LazyLock::new(|| {
    let presets = formats().map(|preset| (preset.name, Scheme::Preset(preset)));
    presets.chain([("hmac", Scheme::Hmac), ("none", Scheme::None)]).collect()
});

const SIGNED: Text<Template> = Text {
    name: "text with `{id}`, `{timestamp}`, `{body}`",
    example: "\"{timestamp}.{body}\"",
    unit: "",
    parse: |text| Template::signed(text).map_err(fault),
};

const VALUE: Text<Template> = Text {
    name: "text with `{id}`, `{timestamp}`, `{signature}`",
    example: "\"sha256={signature}\"",
    unit: "",
    parse: |text| Template::value(text).map_err(fault),
};

fn fault(error: TemplateError) -> Fault {
    Fault::new(error.to_string(), error.help())
}

pub(super) fn read(s: &Section<'_, '_>) -> Option<Sign> {
    let doc = "`standard` is Standard Webhooks, `svix` the same with the headers `svix-id`, `svix-timestamp` and `svix-signature`, which is all that older packages of Svix and those of Clerk and Privy read. Others sign as that provider does, for receivers that were built for it. `hmac` is an HMAC in a header of your choice.";
    let scheme = s.key("scheme", Choice(&SCHEMES), doc).required();
    let form = match scheme {
        Some(Scheme::Preset(preset)) => preset.key,
        _ => KeyForm::Text,
    };
    let doc = "For `standard`, `whsec_` and base64 of 24 to 64 bytes signs by HMAC (`v1`), a private key `whsk_…` by Ed25519 (`v1a`). Where the format has room, as `standard`, `svix`, `stripe` and `pagerduty` have, all sign, so that the receiver can change; else the first. `{ secret = \"env:NEW\", from = \"2026-12-01\", until = \"2027-12-01\" }` signs only in that time (UTC).";
    let keys = s.key("secrets", List(Dated::signing(form)), doc);
    let keys = keys.optional("required unless `none`");
    let header = s.key("header", HEADER, "`hmac`: where the signature stands.");
    let header = header.optional("required for `hmac`");
    let algorithm = s.key("algorithm", ALGORITHMS, "`hmac`: the hash.").default("sha256");
    let encoding = s.key("encoding", ENCODINGS, "`hmac`: of the signature.").default("hex");
    let doc = "`hmac`: what is signed. `{id}` and `{timestamp}` are as in `webhook-id` and `webhook-timestamp`.";
    let signed = s.key("signed", SIGNED, doc).default("{body}");
    let doc =
        "`hmac`: the header's value, as `sha256={signature}` or `t={timestamp},v1={signature}`.";
    let value = s.key("value", VALUE, doc).default("{signature}");
    let format = match scheme? {
        Scheme::None => {
            s.only(&["scheme"], "scheme `none`");
            return None;
        }
        Scheme::Preset(preset) => {
            s.only(&["scheme", "secrets"], &format!("scheme `{}`", preset.name));
            need_secrets(s);
            Format::of(preset)
        }
        Scheme::Hmac => {
            need_secrets(s);
            s.missing("header", "add `header = \"x-signature\"`, where the receiver looks");
            if header.as_ref().is_some_and(|name| is_owned(name.as_str())) {
                let fault = Fault::new("Hookwright writes this header itself", "choose another");
                s.wrong("header", fault);
            }
            header.map(|header| Format::hmac(header, algorithm, encoding, signed, value))
        }
    };
    let sign = Sign { format: format?, keys: keys? };
    let private = |key: &SigningKey| matches!(key, SigningKey::Ed25519(_));
    if sign.format.has_public_kind() && sign.keys.iter().all(|key| private(&key.key)) {
        let message = "signs by private keys alone (`v1a`), which no library of the standard takes";
        let help = "add a secret `whsec_…` beside them for receivers that use one";
        s.warn("secrets", Fault::new(message, help));
    }
    Some(sign)
}
