//! Sends what plugins with a grant `http:HOST` ask for, through the egress and its guard.
use tokio::runtime::Handle;

use hookwright_egress::{Egress, Fetch, FetchError, Fetcher, SetupError};
use hookwright_settings::NetworkPolicy;

/// The two ways out: to names of the world, and to addresses that a grant spells out.
pub(super) struct PluginHttpClient {
    guarded: Fetcher,
    allow_private: Fetcher,
    /// The plugins' own threads have a low priority, and their calls end early.
    runtime: Handle,
}

impl PluginHttpClient {
    /// Needs a running runtime.
    pub(super) fn new() -> Result<Self, SetupError> {
        let egress = Egress::default();
        Ok(Self {
            guarded: egress.fetcher(
                "plugins",
                NetworkPolicy::default(),
                hookwright_plugins::HTTP_BODY,
            )?,
            allow_private: egress.fetcher(
                "plugins",
                NetworkPolicy::Any,
                hookwright_plugins::HTTP_BODY,
            )?,
            runtime: Handle::current(),
        })
    }
}

impl hookwright_plugins::Fetch for PluginHttpClient {
    fn fetch(&self, request: hookwright_plugins::Outgoing) -> hookwright_plugins::Fetching {
        let hookwright_plugins::Outgoing { method, url, headers, body, timeout, private } = request;
        let client = if private { &self.allow_private } else { &self.guarded }.clone();
        let fetch = Fetch { method, url, headers, body, timeout };
        let in_flight = self.runtime.spawn(async move { client.fetch(fetch).await });
        // A call that ends before its answer takes the request with it.
        let in_flight = tokio_util::task::AbortOnDropHandle::new(in_flight);
        Box::pin(async move {
            let ended = in_flight.await;
            let answer =
                ended.map_err(|error| hookwright_plugins::FetchError::Failed(error.to_string()))?;
            let answer = answer.map_err(|error| match error {
                FetchError::Failed(why) => hookwright_plugins::FetchError::Failed(why),
                FetchError::Timeout => hookwright_plugins::FetchError::Timeout,
                FetchError::TooLarge => hookwright_plugins::FetchError::TooLarge,
            })?;
            let (status, headers) = (answer.status.as_u16(), answer.headers);
            Ok(hookwright_plugins::Incoming { status, headers, body: answer.body })
        })
    }
}
