//! The contract between host and plugins, as a project gets it.

/// The contract's text, for a project's `wit/`.
pub(super) const CONTRACT: &str = include_str!("../../../wit/v0.1/types.wit");
/// The contract's world that a project is built for where it names none.
pub(super) const WORLD: &str = "plugin";
