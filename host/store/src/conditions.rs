//! What is remembered of a destination beside its deliveries.
use crate::Answer;

/// The destinations' conditions, which delivery restores at the start and keeps up to date.
pub trait Conditions: Send + Sync + 'static {
    /// The destinations of which something is remembered.
    ///
    /// # Errors
    /// Where they can't be read.
    fn conditions(&self) -> Answer<'_, Vec<(String, Condition)>>;

    /// Remembers the condition in place of the one before.
    ///
    /// # Errors
    /// Where it can't be written; the one before may stand then.
    fn set_condition<'a>(
        &'a self,
        destination: &'a str,
        condition: &'a Condition,
    ) -> Answer<'a, ()>;
}

/// A destination's condition. The default: nothing to remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why it is disabled: a 410, a long failure, or a person.
    pub disabled: Option<String>,
    /// Paused by a person until then, milliseconds since 1970.
    pub paused_until_ms: Option<u64>,
    /// The attempt with which it began to fail, and has failed ever since,
    /// milliseconds since 1970.
    pub failing_since_ms: Option<u64>,
}
