//! Keeps or drops events by conditions. The host looks the body up; it is never read here.
use hookwright_plugin::conditions::{Condition, Test, prepare_all};
use hookwright_plugin::fields::{Facts, Fields};
use hookwright_plugin::prelude::*;

/// Which events are handed on. An event that a rule of `drop` fits is dropped;
/// of the others, where there are rules of `keep`, those that one of them fits
/// are kept.
#[config]
#[derive(Default)]
#[serde(default)]
pub struct Config {
    /// One of these must hold; all events are kept where there are none.
    keep: Vec<Condition>,
    /// None of these may hold.
    drop: Vec<Condition>,
}

/// The rules, compiled.
pub struct Filter {
    fields: Fields,
    keep: Vec<Test>,
    drop: Vec<Test>,
}

impl Prepare for Filter {
    type Config = Config;

    fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
        let mut fields = Fields::default();
        let keep = prepare_all("keep", &config.keep, |rule| rule.prepare(&mut fields));
        let drop = prepare_all("drop", &config.drop, |rule| rule.prepare(&mut fields));
        match (keep, drop) {
            (Ok(keep), Ok(drop)) if keep.is_empty() && drop.is_empty() => {
                Err(vec![ConfigError::at("", "no rule: name conditions under `keep` or `drop`")])
            }
            (Ok(keep), Ok(drop)) => Ok(Self { fields, keep, drop }),
            (keep, drop) => Err([keep.err(), drop.err()].into_iter().flatten().flatten().collect()),
        }
    }
}

/// Drops what a rule of `drop` fits, or no rule of `keep`.
#[plugin]
pub fn handle(event: Event, filter: &Filter) -> Result<Verdict> {
    let facts = filter.fields.read(&event);
    if let Some(index) = fitting(&filter.drop, &facts) {
        let name = filter.drop[index].name().map_or(format!("drop[{index}]"), str::to_owned);
        return Ok(Verdict::drop(format!("rule `{name}` drops it")));
    }
    if !filter.keep.is_empty() && fitting(&filter.keep, &facts).is_none() {
        return Ok(Verdict::drop("no rule of `keep` fits"));
    }
    Ok(Verdict::pass())
}

fn fitting(rules: &[Test], facts: &Facts<'_>) -> Option<usize> {
    rules.iter().position(|rule| rule.holds(facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_plugin::serde_json::{Value, json};
    use hookwright_plugin::testing;

    fn verdict(config: &Value, kind: &str, body: &str) -> Verdict {
        let filter: Filter = testing::settings(config).unwrap();
        handle(Event::sample().kind(kind).body(body).build(), &filter).unwrap()
    }

    #[test]
    fn drop_wins_and_keep_wants_one() {
        let config = json!({
            "keep": [{"field": "kind", "one_of": ["push", "release"]}],
            "drop": [
                {"field": "/sender/type", "equals": "Bot"},
                {"name": "drafts", "field": "/release/draft", "equals": true},
            ],
        });
        assert_eq!(verdict(&config, "push", "{}"), Verdict::pass());
        assert_eq!(verdict(&config, "star", "{}"), Verdict::drop("no rule of `keep` fits"));
        let bot = verdict(&config, "push", r#"{"sender":{"type":"Bot"}}"#);
        assert_eq!(bot, Verdict::drop("rule `drop[0]` drops it"));
        let draft = verdict(&config, "release", r#"{"release":{"draft":true}}"#);
        assert_eq!(draft, Verdict::drop("rule `drafts` drops it"));
    }

    #[test]
    fn with_only_drop_the_rest_is_kept() {
        let config = json!({"drop": [{"field": "kind", "equals": "ping"}]});
        assert_eq!(verdict(&config, "ping", "no JSON"), Verdict::drop("rule `drop[0]` drops it"));
        assert_eq!(verdict(&config, "", "no JSON"), Verdict::pass());
    }

    #[test]
    fn settings_without_rules_and_all_mistakes_are_refused() {
        assert!(testing::settings::<Filter>(&json!({})).is_err());
        let bad = json!({"keep": [{"field": "x", "equals": 1}], "drop": [{"field": "/a"}, {}]});
        let errors = testing::settings::<Filter>(&bad).err().unwrap();
        let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
        assert_eq!(paths, ["/keep/0/field", "/drop/0", "/drop/1"]);
        let unknown = json!({"keep": [{"field": "kind", "equal": 1}]});
        let errors = testing::settings::<Filter>(&unknown).err().unwrap();
        assert_eq!(errors[0].path, "/keep/0/equal");
    }
}
