//! Looks a value up at an API and adds the answer to the event. Shows requests by the host: `http`.
use std::fmt::Write as _;
use std::time::Duration;

use hookwright_plugin::http;
use hookwright_plugin::json::Document;
use hookwright_plugin::prelude::*;

/// Which value, where it is looked up, and where the answer goes.
#[config]
struct Config {
    /// JSON pointer to the value, `/customer/id` for example. Events without it pass as they are.
    value: String,
    /// The URL, with `{}` where the value goes. Its host wants a grant, `http:HOST`.
    url: String,
    /// The member that is added to the body, with the answer's JSON.
    add: String,
    /// Milliseconds until the look-up is given up, 500 otherwise.
    #[serde(default = "half_a_second")]
    timeout_ms: u32,
}

fn half_a_second() -> u32 {
    500
}

/// The settings, checked.
struct Enrich(Config);

impl Prepare for Enrich {
    type Config = Config;

    fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        if !config.value.starts_with('/') {
            errors.push(ConfigError::at("/value", "write a JSON pointer, as in `/customer/id`"));
        }
        if config.url.matches("{}").count() != 1 {
            errors.push(ConfigError::at("/url", "write `{}` once, where the value goes"));
        }
        if !config.url.starts_with("https://") && !config.url.starts_with("http://") {
            errors.push(ConfigError::at("/url", "begin with `https://` or `http://`"));
        }
        if errors.is_empty() { Ok(Self(config)) } else { Err(errors) }
    }
}

#[plugin]
fn handle(event: Event, Enrich(config): &Enrich) -> Result<Verdict> {
    let Some(value) = event.pointer(&config.value) else { return Ok(Verdict::pass()) };
    let text = value.text().unwrap_or_else(|| value.raw().to_owned());
    let url = config.url.replace("{}", &encoded(&text));
    let timeout = Duration::from_millis(config.timeout_ms.into());
    let answer = http::get(url).timeout(timeout).send()?;
    let found = match answer.status() {
        200 => answer.text().filter(|text| Document::parse(text).is_ok()),
        404 => Some("null"),
        status => return Err(Error::retry(format!("the look-up answers {status}"))),
    };
    let found = found.ok_or_else(|| Error::other("the look-up answers no JSON"))?;
    let body = added(&event, &config.add, found.trim())?;
    Ok(Amendment::new().body(body).into())
}

/// The body with one more member at its end; all other bytes stay.
fn added(event: &Event, name: &str, value: &str) -> Result<String> {
    event.document()?;
    let text = event.text().unwrap_or_default().trim_end();
    let Some(open) = text.strip_suffix('}') else {
        return Err(Error::reject("the body is no JSON object"));
    };
    let comma = if open.trim() == "{" { "" } else { "," };
    let name = hookwright_plugin::serde_json::to_string(name)?;
    Ok(format!("{open}{comma}{name}:{value}}}"))
}

/// Percent-encoded (RFC 3986), so that a value from outside stays one part of the path.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            // A dot may make `..`, which leads elsewhere.
            byte => write!(out, "%{byte:02X}").expect("a String takes all"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use hookwright_plugin::http::Response;
    use hookwright_plugin::serde_json::{self, json};
    use hookwright_plugin::testing::{answer_requests, settings};

    use super::*;

    fn enrich(body: &str) -> Result<Verdict> {
        let url = "https://api.example.com/customers/{}?fields=name";
        let enrich: Enrich =
            settings(&json!({ "value": "/customer", "url": url, "add": "who" })).unwrap();
        handle(Event::sample().body(body).build(), &enrich)
    }

    fn body(verdict: Verdict) -> String {
        let Verdict::Amend(amendment) = verdict else { panic!("{verdict:?}") };
        String::from_utf8(amendment.body.unwrap()).unwrap()
    }

    #[test]
    fn the_answer_is_added_and_all_other_bytes_stay() {
        answer_requests(|request| match request.url() {
            "https://api.example.com/customers/7?fields=name" => {
                Ok(Response::new(200, "{\"name\": \"Ann\"}\n"))
            }
            "https://api.example.com/customers/%2E%2E%2Fx?fields=name" => {
                Ok(Response::new(404, "no"))
            }
            other => panic!("{other}"),
        });
        let told = body(enrich(r#"{ "customer": 7, "n": 1.50 }"#).unwrap());
        assert_eq!(told, r#"{ "customer": 7, "n": 1.50 ,"who":{"name": "Ann"}}"#);
        let told = body(enrich(r#"{"customer":"../x"}"#).unwrap());
        assert_eq!(told, r#"{"customer":"../x","who":null}"#);
        assert_eq!(enrich("{}").unwrap(), Verdict::pass());
    }

    #[test]
    fn what_may_pass_is_tried_again_and_the_rest_is_not() {
        let kind = |response: Response| {
            answer_requests(move |_| Ok(response.clone()));
            enrich(r#"{"customer":1}"#).unwrap_err().kind()
        };
        assert_eq!(kind(Response::new(503, "")), hookwright_plugin::ErrorKind::Retry);
        assert_eq!(kind(Response::new(200, "<html>")), hookwright_plugin::ErrorKind::Other);
    }

    #[test]
    fn mistakes_are_told_together() {
        let config: serde_json::Value =
            json!({ "value": "customer", "url": "ftp://a/", "add": "who" });
        assert_eq!(settings::<Enrich>(&config).err().unwrap().len(), 3);
    }
}
