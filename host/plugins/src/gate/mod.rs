//! The gate: what a component must be before any of its code runs.
pub(crate) mod inspect;
pub(crate) mod report;
pub(crate) mod schema;
