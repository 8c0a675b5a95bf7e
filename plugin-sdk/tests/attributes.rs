//! The shapes of functions and settings that the attributes accept.
use hookwright_plugin::prelude::*;
use hookwright_plugin::serde_json::json;
use hookwright_plugin::testing;

mod by_reference {
    use super::*;

    #[config]
    #[derive(Debug)]
    pub(crate) struct Config {
        pub(crate) keep: Vec<String>,
    }

    #[plugin]
    pub(crate) fn handle(event: Event, config: &Config) -> Result<Verdict> {
        let kept = config.keep.iter().any(|kind| kind == event.kind());
        Ok(if kept { Verdict::pass() } else { Verdict::drop("") })
    }
}

mod by_value {
    use super::*;

    #[config]
    #[derive(Clone, Default)]
    #[serde(default)]
    struct Config {
        reason: String,
    }

    #[plugin]
    fn handle(_event: Event, config: Config) -> Result<Verdict> {
        Ok(Verdict::drop(config.reason))
    }
}

mod without_settings {
    use super::*;

    #[plugin]
    pub(crate) fn handle(event: Event) -> Result<Verdict> {
        warn!("seen {}", event.id());
        Ok(Verdict::pass())
    }
}

mod flattened {
    use super::*;

    #[config]
    #[derive(Debug)]
    pub(crate) struct Outer {
        #[serde(flatten)]
        pub(crate) inner: Inner,
        #[serde(default = "seven", rename = "number")]
        pub(crate) count: u8,
    }

    #[config]
    #[derive(Debug)]
    pub(crate) struct Inner {
        pub(crate) name: String,
    }

    fn seven() -> u8 {
        7
    }
}

#[test]
fn the_function_stays_an_ordinary_one() {
    let config = by_reference::Config { keep: vec!["push".into()] };
    let event = Event::sample().kind("push").build();
    assert_eq!(by_reference::handle(event, &config).unwrap(), Verdict::pass());
}

#[test]
fn what_it_logs_can_be_looked_at() {
    assert_eq!(without_settings::handle(Event::sample().build()).unwrap(), Verdict::pass());
    let line = "seen evt_00000000000000000000000000".to_owned();
    assert_eq!(testing::take_log(), [(hookwright_plugin::log::Level::Warn, line)]);
}

#[test]
fn unknown_settings_are_mistakes() {
    let error = testing::settings::<by_reference::Config>(&json!({"keep": [], "x": 1}));
    assert_eq!(error.unwrap_err()[0].path, "/x");
    assert!(testing::settings::<by_reference::Config>(&json!({})).is_err());
}

#[test]
fn flattened_settings_are_read() {
    let outer: flattened::Outer = testing::settings(&json!({"name": "a"})).unwrap();
    assert_eq!((outer.inner.name.as_str(), outer.count), ("a", 7));
}
