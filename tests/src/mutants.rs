//! Requests as providers send them, changed in what is signed: none may be taken for the provider's.
use std::collections::BTreeMap;

use hookwright_signing::{Draft, Part, Sent, Verified};

use crate::schemes::{AT, Case, check, received};

/// What came of so many changed requests.
#[derive(Debug, Default)]
pub struct Tally {
    pub refused: u64,
    /// Of these, by the verifier's reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Each a description; there must be none.
    pub accepted: Vec<String>,
}

/// Small, fast, and the same everywhere (SplitMix64).
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % end as u64).unwrap_or_default()
    }

    fn text(&mut self, length: usize) -> String {
        (0..length).map(|_| char::from(b"0123456789abcdefABCDEF+/=,"[self.below(26)])).collect()
    }
}

/// Checks `count` changed requests, spread over all schemes.
pub fn run(cases: &[Case], count: u64, dice: &mut Dice) -> Tally {
    let mut tally = Tally::default();
    let others: Vec<Case> =
        cases.iter().filter_map(|case| case.preset().map(|preset| Case::of(preset, 99))).collect();
    while tally.refused + (tally.accepted.len() as u64) < count {
        for case in cases {
            let body = format!(r#"{{"n":{},"text":"{}"}}"#, dice.roll(), dice.text(40));
            let shaped = Some(body.as_bytes()).filter(|_| case.signs_body());
            let id = format!("msg_{}", dice.roll());
            let draft = Draft { id: &id, at_s: AT, kind: None, body: shaped };
            let sent = case.sent(&draft);
            let other = others.iter().find(|other| other.name == case.name);
            let Some((changed, at_s)) = changed(case, &sent, &draft, other, dice) else { continue };
            let Some(headers) = received(&changed) else { continue };
            if at_s == AT && meaning(case, &changed) == meaning(case, &sent) {
                continue;
            }
            match check(&case.verifier, &headers, &changed, at_s) {
                Err(refusal) => {
                    tally.refused += 1;
                    *tally.reasons.entry(refusal.as_str()).or_default() += 1;
                }
                Ok(Verified::Handshake(_) | Verified::Confirm(_)) => tally.refused += 1,
                Ok(Verified::Event { .. }) => {
                    tally.accepted.push(format!("{}: {sent:?} became {changed:?}", case.name));
                }
            }
        }
    }
    tally
}

/// The request, changed in one way, and when it arrives.
fn changed(
    case: &Case,
    sent: &Sent,
    draft: &Draft<'_>,
    other: Option<&Case>,
    dice: &mut Dice,
) -> Option<(Sent, u64)> {
    let mut new = sent.clone();
    let names = case.headers();
    let there: Vec<usize> = sent
        .headers
        .iter()
        .enumerate()
        .filter(|(_, (name, _))| names.contains(&name.as_str()))
        .map(|(place, _)| place)
        .collect();
    let header = if there.is_empty() { None } else { Some(there[dice.below(there.len())]) };
    match dice.below(10) {
        0 | 1 if !new.body.is_empty() => {
            let place = dice.below(new.body.len());
            new.body[place] ^= 1 << dice.below(8);
        }
        2 if !new.body.is_empty() => new.body.truncate(dice.below(new.body.len())),
        3 => {
            let more = 1 + dice.below(4);
            new.body.extend(dice.text(more).bytes());
        }
        4 | 5 => {
            let value = &mut new.headers[header?].1;
            let mut bytes = value.clone().into_bytes();
            let place = dice.below(bytes.len().max(1));
            *bytes.get_mut(place)? ^= 1 << dice.below(7);
            *value = String::from_utf8(bytes).ok()?;
        }
        6 => {
            let length = new.headers[header?].1.len();
            new.headers[header?].1 = dice.text(length);
        }
        7 => {
            let removed = new.headers.remove(header?);
            if dice.below(2) == 0 {
                new.headers.extend([removed.clone(), removed]);
            }
        }
        8 => new = other?.sent(draft),
        _ => {
            let off = case.tolerance()?.as_secs() + 1 + dice.below(1_000) as u64;
            return Some((new, if dice.below(2) == 0 { AT + off } else { AT - off }));
        }
    }
    Some((new, AT))
}

/// What a request says under the scheme: two with the same meaning are the
/// same request, written in another way.
pub fn meaning(case: &Case, sent: &Sent) -> Vec<String> {
    let names = case.headers();
    let headers = sent.headers.iter().filter(|(name, _)| names.contains(&name.as_str()));
    let mut said: Vec<String> = headers.map(|(name, value)| spoken(name, value)).collect();
    said.push(sent.query.clone().unwrap_or_default());
    said.push(match case.preset() {
        _ if case.signs_body() => String::from_utf8_lossy(&sent.body).into_owned(),
        Some(preset) if preset.signs(Part::TwilioForm) => form(&sent.body),
        Some(preset) if preset.name == "mailgun" => fields(&sent.body, &["/signature"]),
        Some(preset) if preset.name == "microsoft-graph" => {
            fields(&sent.body, &["/value/0/clientState"])
        }
        Some(preset) if preset.name == "adyen" => {
            fields(&sent.body, &["/notificationItems/0/NotificationRequestItem"])
        }
        _ => String::new(),
    });
    said
}

/// Hexadecimal digits and the names of authentication schemes have no case.
fn spoken(name: &str, value: &str) -> String {
    let list = value.split([',', ';', ' ']).map(str::trim).filter(|part| !part.is_empty());
    let list = list.map(|part| {
        let start = part.find('=').map_or(0, |at| at + 1);
        let hex =
            |text: &str| text.len() >= 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match part.split_at(start) {
            (prefix, digits) if hex(digits) => format!("{prefix}{}", digits.to_lowercase()),
            _ => part.to_owned(),
        }
    });
    let mut list: Vec<String> = list.collect();
    if name == "authorization" {
        list[..1].iter_mut().for_each(|scheme| *scheme = scheme.to_lowercase());
    }
    format!("{name}: {}", list.join("|"))
}

fn form(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let mut pairs: Vec<String> =
        text.split('&').map(decoded).filter(|one| !one.is_empty()).collect();
    pairs.sort();
    pairs.dedup();
    pairs.join("&")
}

/// A pair of a form with its escapes read and its `=` left out: Twilio signs it so.
fn decoded(pair: &str) -> String {
    let pair = pair.replacen('=', "", 1).replace('+', " ");
    let mut bytes = Vec::new();
    let mut rest = pair.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(escaped) if *byte == b'%' => {
                bytes.push(escaped);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// These parts of a JSON body, hexadecimal digits in small letters.
fn fields(body: &[u8], pointers: &[&str]) -> String {
    let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let found = pointers.iter().map(|pointer| match json.pointer(pointer) {
        Some(serde_json::Value::Object(fields)) if *pointer == "/signature" => {
            let text = |name: &str| fields.get(name).map(ToString::to_string).unwrap_or_default();
            let signature = text("signature").to_lowercase();
            format!("{signature} {} {}", text("timestamp"), text("token"))
        }
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => signed_by_adyen(value),
        None => "nothing".to_owned(),
    });
    found.collect()
}

fn signed_by_adyen(item: &serde_json::Value) -> String {
    let names = [
        "/additionalData/hmacSignature",
        "/pspReference",
        "/originalReference",
        "/merchantAccountCode",
        "/merchantReference",
        "/amount/value",
        "/amount/currency",
        "/eventCode",
        "/success",
    ];
    let text = |name: &&str| item.pointer(name).map(ToString::to_string).unwrap_or_default();
    names.iter().map(text).collect::<Vec<_>>().join(":")
}
