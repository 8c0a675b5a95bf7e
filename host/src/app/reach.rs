//! What `hookwright doctor` asks of the parts, without starting any.
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::options;
use hookwright_config::Config;
use hookwright_egress::{Egress, Reached};
use hookwright_model::Name;
use hookwright_settings::To;

/// Connects to a destination as its deliveries would, and closes again.
///
/// # Errors
/// Where no connection stands within `patience`.
pub async fn reach(config: &Config, name: &Name, patience: Duration) -> anyhow::Result<Reached> {
    let to = config.destinations.get(name).context("is not in the settings")?;
    let To::Post(post) = &to.to else { bail!("is no URL that could be connected to") };
    let options = hookwright_egress::Options {
        transport: post.transport.clone(),
        ..hookwright_egress::Options::new(name.to_string(), post.url.clone())
    };
    Ok(Egress::default().reach(&options, patience.min(post.timeout)).await?)
}

/// Reads the ingress's certificate and key as the host does when it starts.
///
/// # Errors
/// Where a file can't be read, or they don't fit together.
pub fn check_tls(config: &Config) -> anyhow::Result<()> {
    Ok(options::tls(config).map(drop)?)
}
