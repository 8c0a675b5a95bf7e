//! Event ids out of any text: refused, or the same id after printing, by its parts and as JSON.
#![no_main]
use hookwright_model::EventId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let json = serde_json::Value::from(text);
    let Ok(id) = text.parse::<EventId>() else {
        assert!(serde_json::from_value::<EventId>(json).is_err());
        return;
    };
    let printed = id.to_string();
    assert_eq!(printed, format!("evt_{}", text[4..].to_uppercase()));
    assert_eq!(printed.parse(), Ok(id));
    assert!(!printed.contains('.'), "Standard Webhooks allows no dot in an id");
    assert_eq!(EventId::new(id.row(), id.node()), id);
    assert_eq!(id.millis(), id.row().cast_unsigned() >> 16);
    assert_eq!(serde_json::from_value::<EventId>(json).expect("an id in JSON"), id);
});
