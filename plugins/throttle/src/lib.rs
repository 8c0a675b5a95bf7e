//! Lets so many events through in a time. Shows durable counters: the host's `kv`.
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use hookwright_plugin::kv;
use hookwright_plugin::prelude::*;

/// A key has room for 256 bytes; a longer value is counted by its hash.
const LONGEST: usize = 200;

/// How many, in which time, of what.
#[config]
struct Config {
    /// Events that pass in a window.
    limit: u32,
    /// The length of a window.
    seconds: u32,
    /// JSON pointer to the value whose events are counted apart, `/customer/id` for example.
    #[serde(default)]
    by: Option<String>,
    /// The destination of what is too much; none drops it.
    #[serde(default)]
    overflow: Option<String>,
}

/// The settings, checked.
struct Throttle(Config);

impl Prepare for Throttle {
    type Config = Config;

    fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        if config.limit == 0 {
            errors.push(ConfigError::at("/limit", "let one event through at least"));
        }
        if config.seconds == 0 {
            errors.push(ConfigError::at("/seconds", "a window has one second at least"));
        }
        if config.by.as_ref().is_some_and(|by| !by.starts_with('/')) {
            errors.push(ConfigError::at("/by", "write a JSON pointer, as in `/customer/id`"));
        }
        if errors.is_empty() { Ok(Self(config)) } else { Err(errors) }
    }
}

#[plugin]
fn handle(event: Event, Throttle(config): &Throttle) -> Result<Verdict> {
    let value = config.by.as_deref().and_then(|by| event.pointer(by));
    let value = value.as_ref().map(|value| value.raw()).unwrap_or_default();
    let window = Duration::from_secs(config.seconds.into());
    let count = kv::increment(&key(value), 1, Some(window))?;
    if count <= i64::from(config.limit) {
        return Ok(Verdict::pass());
    }
    Ok(match &config.overflow {
        Some(destination) => Verdict::deliver([destination.clone()]),
        None => Verdict::drop(format!("more than {} in {} s", config.limit, config.seconds)),
    })
}

fn key(value: &str) -> String {
    if value.len() <= LONGEST {
        return format!("count:{value}");
    }
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    format!("hash:{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use hookwright_plugin::serde_json::{self, json};
    use hookwright_plugin::testing::{pass_time, settings};

    use super::*;

    fn throttle(config: serde_json::Value) -> Throttle {
        settings(&config).unwrap()
    }

    fn passes(throttle: &Throttle, body: &str) -> bool {
        handle(Event::sample().body(body).build(), throttle).unwrap() == Verdict::pass()
    }

    #[test]
    fn each_value_has_a_window_of_its_own() {
        let throttle = throttle(json!({ "limit": 2, "seconds": 10, "by": "/id" }));
        let one = r#"{"id":1}"#;
        assert!(passes(&throttle, one) && passes(&throttle, one) && !passes(&throttle, one));
        assert!(passes(&throttle, r#"{"id":2}"#) && passes(&throttle, "no JSON"));
        pass_time(Duration::from_secs(9));
        assert!(!passes(&throttle, one));
        pass_time(Duration::from_secs(1));
        assert!(passes(&throttle, one), "a new window");
    }

    #[test]
    fn what_is_too_much_has_a_place_to_go() {
        let throttle = throttle(json!({ "limit": 1, "seconds": 10, "overflow": "slow" }));
        assert!(passes(&throttle, "{}"));
        let verdict = handle(Event::sample().build(), &throttle).unwrap();
        assert_eq!(verdict, Verdict::deliver(["slow"]));
    }

    #[test]
    fn a_long_value_is_counted_too() {
        let throttle = throttle(json!({ "limit": 1, "seconds": 10, "by": "/id" }));
        let long = |letter: &str| format!(r#"{{"id":"{}"}}"#, letter.repeat(1_000));
        assert!(passes(&throttle, &long("a")) && !passes(&throttle, &long("a")));
        assert!(passes(&throttle, &long("b")));
    }

    #[test]
    fn mistakes_are_told_together() {
        let config = json!({ "limit": 0, "seconds": 0, "by": "id" });
        assert_eq!(settings::<Throttle>(&config).err().unwrap().len(), 3);
    }
}
