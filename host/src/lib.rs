//! The library behind the `hookwright` binary: the wiring and the commands. ARCHITECTURE.md is the map of its crates.
pub mod app;
pub mod cli;
