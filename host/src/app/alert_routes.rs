//! How alerts leave: the host's own sources, whom each is for, and the secret that is filled in when one is sent.
use std::sync::Arc;

use hookwright_admin::alerts::{ROUTING_KEY, Shape};
use hookwright_config::{AlertsConfig, Config, OWN_SOURCES};
use hookwright_model::Name;
use hookwright_routing::{FirstWaits, Pipeline, Pipelines};
use hookwright_settings::Fill;

/// The sources that alerts come from, one for each shape, with whom they are for.
pub(super) fn channels(config: &AlertsConfig) -> Vec<(Name, Shape, Vec<Name>)> {
    let [standard, slack, pagerduty] = OWN_SOURCES.map(|name| name.parse::<Name>().ok());
    let pager = config.pagerduty.as_ref();
    let pager = pager.map(|pager| (pagerduty, Shape::PagerDuty, pager.destinations.clone()));
    let all = [
        Some((standard, Shape::Standard, config.destinations.clone())),
        Some((slack, Shape::Slack, config.slack.clone())),
        pager,
    ];
    let named = all.into_iter().flatten().filter_map(|(name, shape, to)| Some((name?, shape, to)));
    named.filter(|(.., to)| !to.is_empty()).collect()
}

/// How alerts are routed: straight to those who asked for them.
pub(super) fn pipelines(config: &Config, waits: &Arc<FirstWaits>) -> Pipelines {
    let own = channels(&config.alerts).into_iter();
    own.map(|(name, _, to)| (name, Pipeline::new(Vec::new(), to, waits.clone()))).collect()
}

/// What deliveries to this destination hold that alerts as they are kept do not.
pub(super) fn fill(config: &Config, destination: &Name) -> Option<Fill> {
    let pager = config.alerts.pagerduty.as_ref()?;
    let source = OWN_SOURCES[2].parse::<Name>().ok()?;
    pager.destinations.contains(destination).then(|| Fill {
        source,
        place: ROUTING_KEY,
        secret: pager.routing_key.clone(),
    })
}
