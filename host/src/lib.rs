//! The library behind the `hookwright` binary. ARCHITECTURE.md is the map; the tidy test holds the order of the modules.
pub mod clock;
pub mod metrics;
pub mod model;
pub mod streams;
pub mod telemetry;
pub mod traces;

pub mod config;
pub mod replies;
pub mod retry;
pub mod signing;
pub mod tasks;

pub mod alerts;
pub mod egress;
pub mod plugins;
pub mod server;
pub mod store;

pub mod admin;
pub mod delivery;
pub mod ingress;
pub mod retention;
pub mod routing;

pub mod app;
pub mod cli;
