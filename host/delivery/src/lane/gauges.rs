//! The gauges of one destination: whether its breaker is open, whether it is disabled, how many attempts at once it gets.
use metrics::{Gauge, gauge};

use hookwright_model::metrics::{BREAKER_OPEN, DISABLED, IN_FLIGHT_LIMIT};

/// What the gauges of a destination say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The breaker is open or probes.
    pub(super) open: bool,
    pub(super) disabled: bool,
    /// Attempts at once that are allowed, and whether they are fewer than the settings say.
    pub(super) limit: usize,
    pub(super) lowered: bool,
}

/// The gauges of a destination and what they say. The lane's state sets them from
/// itself after every change, by whatever way, so that they never say anything
/// else. Those that have nothing to tell yet are not made: ten thousand
/// destinations that never fail need none.
pub(super) struct Gauges {
    destination: String,
    shown: Shown,
    open: Option<Gauge>,
    disabled: Option<Gauge>,
    limit: Option<Gauge>,
}

impl Gauges {
    pub(super) fn new(destination: &str) -> Self {
        let destination = destination.to_owned();
        Self { destination, shown: Shown::default(), open: None, disabled: None, limit: None }
    }

    /// Sets them where that is not what they say.
    pub(super) fn show(&mut self, shown: Shown) {
        if std::mem::replace(&mut self.shown, shown) == shown {
            return;
        }
        let destination = &self.destination;
        let set = |kept: &mut Option<Gauge>, name: &'static str, tells: bool, value: f64| {
            if tells || kept.is_some() {
                let made = || gauge!(name, "destination" => destination.clone());
                kept.get_or_insert_with(made).set(value);
            }
        };
        let flag = |on: bool| f64::from(u8::from(on));
        set(&mut self.open, BREAKER_OPEN, shown.open, flag(shown.open));
        set(&mut self.disabled, DISABLED, shown.disabled, flag(shown.disabled));
        set(&mut self.limit, IN_FLIGHT_LIMIT, shown.lowered, shown.limit as f64);
    }
}
