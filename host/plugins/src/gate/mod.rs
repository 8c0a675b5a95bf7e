//! The gate: what a component must be before any of its code runs.
//!
//! It reads bytes and JSON and runs nothing, so all other rooms may use it. `build` takes a
//! component through it, and `registry` holds what the cache kept against the grants again.
mod inspect;
mod report;
mod schema;

pub use inspect::{GateError, inspect};
pub(crate) use inspect::{check_imports, check_warm, wants_wasi};
pub use report::{About, ConfigIssue, Report, Shape, Sketch};
pub(crate) use schema::{ISSUES, check as check_settings};
