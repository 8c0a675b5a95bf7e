//! Which destinations get what.
use super::*;
use hookwright_plugin::serde_json::{Value, json};
use hookwright_plugin::testing;

fn config(matching: &str) -> Value {
    json!({
        "matching": matching,
        "default": ["rest"],
        "rules": [
            {"when": {"field": "/amount", "at_least": 1000}, "to": ["finance", "audit"],
             "order_by": "/customer/id", "delay": "5m"},
            {"when": {"field": "kind", "starts_with": "invoice."}, "to": ["crm", "audit"]},
        ],
    })
}

fn deliveries(config: &Value, kind: &str, body: &str) -> Vec<Delivery> {
    let router: Router = testing::settings(config).unwrap();
    match handle(Event::sample().kind(kind).body(body).build(), &router).unwrap() {
        Verdict::Deliver(list) => list,
        Verdict::Pass => Vec::new(),
        other => panic!("{other:?}"),
    }
}

fn names(list: &[Delivery]) -> Vec<&str> {
    list.iter().map(|delivery| delivery.destination.as_str()).collect()
}

const LARGE: &str = r#"{"amount":2000,"customer":{"id":7}}"#;

#[test]
fn the_first_rule_that_fits_decides() {
    let list = deliveries(&config("first"), "invoice.paid", LARGE);
    assert_eq!(names(&list), ["finance", "audit"]);
    assert_eq!(list[0].order_key.as_deref(), Some("7"));
    assert_eq!(list[1].delay, Duration::from_secs(300));
    assert_eq!(names(&deliveries(&config("first"), "invoice.paid", "{}")), ["crm", "audit"]);
}

#[test]
fn all_rules_that_fit_give_each_destination_one_delivery() {
    let list = deliveries(&config("all"), "invoice.paid", LARGE);
    assert_eq!(names(&list), ["finance", "audit", "crm"]);
    assert_eq!(list[1].delay, Duration::from_secs(300), "as the first of its rules says");
    assert_eq!(list[2].delay, Duration::ZERO);
}

#[test]
fn what_no_rule_fits_goes_to_the_default_or_is_handed_on() {
    assert_eq!(names(&deliveries(&config("all"), "ping", "{}")), ["rest"]);
    let mut without = config("all");
    without["default"] = json!([]);
    assert!(deliveries(&without, "ping", "{}").is_empty());
}

#[test]
fn a_rule_without_a_condition_always_fits() {
    let list = deliveries(&json!({"rules": [{"to": ["a"], "order_by": "/none"}]}), "", "no JSON");
    assert_eq!(list, [Delivery::to("a")]);
}

#[test]
fn all_mistakes_are_reported() {
    let bad = json!({"rules": [
        {"when": {"field": "kind"}, "to": []},
        {"to": ["a"], "delay": "5", "order_by": "x"},
    ]});
    let errors = testing::settings::<Router>(&bad).err().unwrap();
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["/rules/0/when", "/rules/0/to", "/rules/1/delay", "/rules/1/order_by"]);
    assert!(testing::settings::<Router>(&json!({"rules": []})).is_err());
}
