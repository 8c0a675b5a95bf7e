//! Fetches keys for the ingress, through the egress and its guard.
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

use hookwright_egress::{Egress, SetupError};
use hookwright_intake::http::{Fetch, Fetching};
use hookwright_settings::NetworkPolicy;

/// Timeout over DNS lookup, connection, TLS and the whole response.
const PATIENCE: Duration = Duration::from_secs(5);
/// Certificates and key sets have a few KiB.
const MOST: usize = 256 * 1024;

/// To public addresses only, whatever a name says.
pub(super) struct Keys(hookwright_egress::Fetcher);

impl Keys {
    pub(super) fn new() -> Result<Self, SetupError> {
        Egress::default().fetcher("keys", NetworkPolicy::default(), MOST).map(Self)
    }
}

impl Fetch for Keys {
    fn fetch(&self, url: String) -> Fetching {
        let fetcher = self.0.clone();
        Box::pin(async move {
            let asked = hookwright_egress::Fetch {
                method: Method::GET,
                url: url.parse().map_err(|_| format!("`{url}` is no URL"))?,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                timeout: PATIENCE,
            };
            match fetcher.fetch(asked).await {
                Ok(answer) if answer.status.is_success() => Ok(answer.body),
                Ok(answer) => Err(format!("{url} answered {}", answer.status.as_u16())),
                Err(error) => Err(format!("{url}: {error}")),
            }
        })
    }
}
