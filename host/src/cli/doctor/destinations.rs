//! Each destination: its name is found, its address allowed, and a connection stands.
use std::time::Duration;

use futures_util::{StreamExt as _, stream};

use super::finding::{Finding, Findings};
use crate::app;
use hookwright_config::Config;
use hookwright_model::Name;

const ABOUT: &str = "destinations";
/// Connections at a time.
const AT_A_TIME: usize = 16;
/// A destination that takes longer counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn examine(found: &mut Findings, config: &Config) {
    let urls = config.destinations.iter().filter(|(_, to)| to.to.url().is_some());
    let asked = urls.map(|(name, _)| reach(config, name));
    // In the order of their names.
    let all: Vec<Finding> = stream::iter(asked).buffered(AT_A_TIME).collect().await;
    for one in all {
        found.push(one);
    }
}

async fn reach(config: &Config, name: &Name) -> Finding {
    match app::reach(config, name, PATIENCE).await {
        Ok(reached) => {
            let how = if reached.tls { ", with TLS" } else { "" };
            let ms = reached.took.as_millis();
            Finding::fine(ABOUT, format!("{name}: {} connects in {ms} ms{how}", reached.address))
        }
        Err(error) => {
            let cure = format!(
                "until it can be reached, its deliveries wait and are tried again; `destinations.{name}.url`"
            );
            Finding::bad(ABOUT, format!("{name}: {error:#}"), cure)
        }
    }
}
