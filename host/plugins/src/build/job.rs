//! What is asked of the compiler, and what it answers: plain data, since the two may be processes apart.
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::gate::Report;
use crate::limits::INIT_TIME;
use hookwright_model::plugin::Limits;
use hookwright_model::plugin::Spec;

/// What `build` needs besides the component.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) plugin: String,
    pub(crate) config_json: String,
    pub(crate) grants: Vec<String>,
    pub(crate) limits: Limits,
    /// CPU time of `describe`, and of `init` with its snapshot.
    pub(crate) init_time: Duration,
    /// Its instances are to be kept.
    pub(crate) warm: bool,
}

impl Job {
    pub(crate) fn new(spec: &Spec) -> Self {
        Self {
            plugin: spec.name.to_string(),
            config_json: spec.config_json.clone(),
            grants: spec.grants.clone(),
            limits: spec.limits,
            init_time: INIT_TIME,
            warm: spec.warm.is_some(),
        }
    }
}

/// How far a component goes through the gate.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// All the way.
    Build(Job),
    /// To `describe`, and where it is to take its settings, to `init`.
    Sketch(Job),
}

/// A component fit to serve.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) report: Report,
    pub(crate) native: Vec<u8>,
}
