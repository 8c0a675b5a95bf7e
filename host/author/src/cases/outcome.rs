//! What a plugin made of an event, as a case writes it: the same text to be expected, recorded and compared.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::json_text::{Order, lay_out};
use super::state::State;
use hookwright_config::print_duration;
use hookwright_model::{HeaderEdit, Payload};
use hookwright_plugins::{Fault, Verdict};

/// Characters of a body that may stand in one line.
const LINE: usize = 70;

/// A verdict or a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `pass`, `amend`, `drop`, `deliver`; none where it failed.
    pub(super) verdict: Option<&'static str>,
    /// `reject`, `retry`, `other`, or how it was stopped.
    pub(super) failure: Option<&'static str>,
    pub(super) reason: Option<String>,
    pub(super) changes: Changes,
    /// In the plugin's order.
    pub(super) deliveries: Vec<Delivery>,
    /// The keys that it wrote to.
    pub(super) state: State,
}

/// What differs from the event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) body: Option<Bytes>,
    pub(super) content_type: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) headers: Vec<HeaderEdit>,
    pub(super) attributes: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Delivery {
    pub(super) destination: String,
    pub(super) delay: std::time::Duration,
    pub(super) order_key: Option<String>,
    pub(super) changes: Changes,
}

/// How bodies of JSON are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// Byte for byte.
    Exact,
    /// Laid out, in their order: to be read.
    Read,
    /// Laid out, by name: to be compared.
    Compared,
}

impl Outcome {
    /// The outcome of a call.
    pub fn of(result: &Result<Verdict, Fault>) -> Self {
        let plain = |verdict| Self {
            verdict: Some(verdict),
            failure: None,
            reason: None,
            changes: Changes::default(),
            deliveries: Vec::new(),
            state: State::new(),
        };
        match result {
            Ok(Verdict::Pass) => plain("pass"),
            Ok(Verdict::Amend(amendment)) => {
                let attributes = amendment.attributes.clone();
                let changes = Changes { attributes, ..Changes::of(&amendment.payload) };
                Self { changes, ..plain("amend") }
            }
            Ok(Verdict::Drop(reason)) => Self { reason: Some(reason.clone()), ..plain("drop") },
            Ok(Verdict::Deliver(targets)) => {
                let deliveries = targets.iter().map(|target| Delivery {
                    destination: target.destination.to_string(),
                    delay: target.delay,
                    order_key: target.order_key.as_deref().map(str::to_owned),
                    changes: Changes::of(&target.payload),
                });
                Self { deliveries: deliveries.collect(), ..plain("deliver") }
            }
            Err(fault) => Self::failed(failure(fault), fault_text(fault)),
        }
    }

    pub(super) fn failed(failure: &'static str, reason: String) -> Self {
        Self {
            verdict: None,
            failure: Some(failure),
            reason: Some(reason),
            changes: Changes::default(),
            deliveries: Vec::new(),
            state: State::new(),
        }
    }

    /// How it failed; empty where it decided.
    pub fn failure(&self) -> &'static str {
        self.failure.unwrap_or_default()
    }

    /// In one or two words.
    pub fn short(&self) -> String {
        match (self.verdict, self.failure) {
            (Some("deliver"), _) => {
                let names = self.deliveries.iter().map(|to| to.destination.as_str());
                format!("deliver to {}", names.collect::<Vec<_>>().join(", "))
            }
            (Some(verdict), _) => verdict.to_owned(),
            (None, failure) => format!("failure: {}", failure.unwrap_or("none")),
        }
    }

    /// The table `[expect]` of a case.
    pub(super) fn write(&self, bodies: Bodies) -> String {
        let mut out = "[expect]\n".to_owned();
        if bodies == Bodies::Exact {
            out.push_str("exact = true\n");
        }
        let word = |name: &str, value: Option<&str>| {
            value.map(|value| format!("{name} = {}\n", quoted(value))).unwrap_or_default()
        };
        out.push_str(&word("verdict", self.verdict));
        out.push_str(&word("failure", self.failure));
        out.push_str(&word("reason", self.reason.as_deref()));
        if !self.state.is_empty() {
            let keys = self.state.iter();
            let keys = keys.map(|(key, value)| format!("{} = {value}", quoted_key(key)));
            out.push_str(&format!("state = {{ {} }}\n", keys.collect::<Vec<_>>().join(", ")));
        }
        self.changes.write(bodies, &mut out);
        for delivery in &self.deliveries {
            out.push_str(&format!(
                "\n[[expect.deliver]]\ndestination = {}\n",
                quoted(&delivery.destination)
            ));
            if !delivery.delay.is_zero() {
                out.push_str(&format!("delay = \"{}\"\n", print_duration(delivery.delay)));
            }
            out.push_str(&word("order_key", delivery.order_key.as_deref()));
            delivery.changes.write(bodies, &mut out);
        }
        out
    }
}

impl Changes {
    fn of(payload: &Payload) -> Self {
        Self {
            body: payload.body.clone(),
            content_type: payload.content_type.clone(),
            kind: payload.kind.clone(),
            headers: payload.headers.clone(),
            attributes: Vec::new(),
        }
    }

    fn write(&self, bodies: Bodies, out: &mut String) {
        for (name, value) in [("content_type", &self.content_type), ("kind", &self.kind)] {
            if let Some(value) = value {
                out.push_str(&format!("{name} = {}\n", quoted(value)));
            }
        }
        if !self.headers.is_empty() {
            let mut edits: Vec<_> = self.headers.iter().collect();
            if bodies == Bodies::Compared {
                edits.sort_by(|one, other| one.name.cmp(&other.name));
            }
            let edits = edits.into_iter().map(|edit| {
                let value = edit.value.as_deref().map_or("false".into(), quoted);
                format!("{} = {value}", quoted_key(&edit.name))
            });
            out.push_str(&format!("headers = {{ {} }}\n", edits.collect::<Vec<_>>().join(", ")));
        }
        if !self.attributes.is_empty() {
            let mut all: Vec<_> = self.attributes.iter().collect();
            if bodies == Bodies::Compared {
                all.sort();
            }
            let all = all
                .into_iter()
                .map(|(name, value)| format!("{} = {}", quoted_key(name), quoted(value)));
            out.push_str(&format!("attributes = {{ {} }}\n", all.collect::<Vec<_>>().join(", ")));
        }
        if let Some(body) = &self.body {
            out.push_str(&format!("body = {}\n", write_body(body, bodies)));
        }
    }
}

/// A body as a value of TOML.
pub(super) fn write_body(body: &[u8], bodies: Bodies) -> String {
    let Ok(text) = std::str::from_utf8(body) else {
        return format!("{{ base64 = \"{}\" }}", STANDARD.encode(body));
    };
    let laid = match bodies {
        Bodies::Exact => None,
        Bodies::Read => lay_out(text, Order::Kept),
        Bodies::Compared => lay_out(text, Order::Sorted),
    };
    let text = laid.as_deref().unwrap_or(text);
    // A literal holds all but quotes in a row and controls; the parser may change a CR.
    let literal = !text.contains("'''")
        && text.chars().all(|char| matches!(char, '\n' | '\t') || !char.is_control());
    match literal {
        true if text.contains('\n') => format!("'''\n{text}\n'''"),
        true if !text.contains('\'') && text.len() <= LINE => format!("'{text}'"),
        true => format!("'''\n{text}\n'''"),
        // One newline at the end is the file's; see `Case`.
        false if text.ends_with('\n') => quoted(&format!("{text}\n")),
        false => quoted(text),
    }
}

/// A basic string of TOML.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn quoted_key(name: &str) -> String {
    let bare = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    // JSON's quotes are TOML's for a key.
    if bare { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

fn failure(fault: &Fault) -> &'static str {
    match fault {
        Fault::Retry(_) => "retry",
        Fault::Reject(_) => "reject",
        Fault::Other(_) => "other",
        Fault::Trap(_) => "trap",
        Fault::Contract(_) => "contract",
        Fault::NotLoaded(_) => "not-loaded",
        other => other.limit().unwrap_or("host"),
    }
}

/// The plugin's own words where it gave some.
fn fault_text(fault: &Fault) -> String {
    match fault {
        Fault::Retry(text) | Fault::Reject(text) | Fault::Other(text) => text.clone(),
        other => other.to_string(),
    }
}
