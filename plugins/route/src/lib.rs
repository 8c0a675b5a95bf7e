//! Chooses destinations by rules. The host looks the body up; it is never read here.
mod duration;

use std::time::Duration;

use hookwright_plugin::conditions::{Condition, Test, prepare_all};
use hookwright_plugin::fields::{Facts, Field, Fields};
use hookwright_plugin::prelude::*;

/// Which destinations get which events.
#[config]
pub struct Config {
    /// Looked at in order.
    rules: Vec<Rule>,
    /// Whether the first rule that fits decides alone, or all that fit together.
    #[serde(default)]
    matching: Matching,
    /// Who gets what no rule fits. Empty: the event is handed on, in the end
    /// to the destinations of its source.
    #[serde(default)]
    default: Vec<String>,
}

/// How many rules decide.
#[config]
#[derive(Default, Clone, Copy, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Matching {
    /// The first that fits.
    #[default]
    First,
    /// All that fit. A destination that several name gets one delivery, as the
    /// first of them says.
    All,
}

/// One rule.
#[config]
struct Rule {
    /// When it fits; always where it is left out.
    when: Option<Condition>,
    /// The destinations, by their names in the host's settings.
    to: Vec<String>,
    /// Not before this long from now: `30s`, `5m`, `1h`, `250ms`.
    delay: Option<String>,
    /// Deliveries with the same value here keep their order, where the
    /// destination's `order` is `key`: a field, such as `/repository/id`.
    order_by: Option<String>,
}

/// The rules, compiled.
pub struct Router {
    fields: Fields,
    rules: Vec<Route>,
    matching: Matching,
    default: Vec<String>,
}

struct Route {
    when: Option<Test>,
    to: Vec<String>,
    delay: Duration,
    order_by: Option<Field>,
}

impl Prepare for Router {
    type Config = Config;

    fn prepare(config: Config) -> Result<Self, Vec<ConfigError>> {
        if config.rules.is_empty() {
            return Err(vec![ConfigError::at("/rules", "no rule")]);
        }
        let mut fields = Fields::default();
        let rules = prepare_all("rules", &config.rules, |rule| Route::new(rule, &mut fields))?;
        Ok(Self { fields, rules, matching: config.matching, default: config.default })
    }
}

impl Route {
    fn new(rule: &Rule, fields: &mut Fields) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let when = rule.when.as_ref().and_then(|condition| match condition.prepare(fields) {
            Ok(test) => Some(test),
            Err(mistakes) => {
                errors.extend(mistakes.into_iter().map(|error| error.inside("when")));
                None
            }
        });
        if rule.to.is_empty() {
            errors.push(ConfigError::at("/to", "no destination"));
        }
        let delay = duration::parse(rule.delay.as_deref().unwrap_or("0s"));
        let order_by = rule.order_by.as_deref().map(|field| fields.add(field)).transpose();
        match (delay, order_by) {
            (Ok(delay), Ok(order_by)) if errors.is_empty() => {
                return Ok(Self { when, to: rule.to.clone(), delay, order_by });
            }
            (delay, order_by) => {
                errors.extend(delay.err().map(|error| error.inside("delay")));
                errors.extend(order_by.err().map(|error| error.inside("order_by")));
            }
        }
        Err(errors)
    }

    fn fits(&self, facts: &Facts<'_>) -> bool {
        self.when.as_ref().is_none_or(|test| test.holds(facts))
    }

    fn delivery(&self, destination: &str, facts: &Facts<'_>) -> Delivery {
        let delivery = Delivery::to(destination).delay(self.delay);
        match self.order_by.as_ref().and_then(|field| facts.get(field)) {
            Some(key) => delivery.order_key(key.text()),
            None => delivery,
        }
    }
}

/// Delivers to the destinations of the rules that fit.
#[plugin]
pub fn handle(event: Event, router: &Router) -> Result<Verdict> {
    let facts = router.fields.read(&event);
    let most = if router.matching == Matching::First { 1 } else { usize::MAX };
    let mut deliveries = Vec::<Delivery>::new();
    for rule in router.rules.iter().filter(|rule| rule.fits(&facts)).take(most) {
        for destination in &rule.to {
            if deliveries.iter().all(|known| known.destination != *destination) {
                deliveries.push(rule.delivery(destination, &facts));
            }
        }
    }
    if deliveries.is_empty() {
        deliveries.extend(router.default.iter().map(String::as_str).map(Delivery::from));
    }
    Ok(if deliveries.is_empty() { Verdict::pass() } else { Verdict::Deliver(deliveries) })
}

#[cfg(test)]
mod tests;
