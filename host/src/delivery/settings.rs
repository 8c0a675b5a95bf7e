//! One destination's settings, made ready for use.
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::{is_credential, is_ours};
use super::health::Care;
use super::{DestinationOptions, Problem, Rate};
use crate::egress::{self, Client, Egress};
use crate::model::Name;
use crate::retry::Policy;
use crate::signing::Signer;

pub(super) struct Settings {
    pub(super) client: Client,
    pub(super) signer: Signer,
    pub(super) headers: HeaderMap,
    /// Headers that no plugin may touch: signatures and credentials.
    owned: Vec<HeaderName>,
    pub(super) user_agent: HeaderValue,
    pub(super) policy: Policy,
    pub(super) timeout: Duration,
    pub(super) care: Care,
    pub(super) disable_after: Option<Duration>,
    pub(super) rate: Option<Rate>,
    pub(super) disabled: bool,
    /// What the client was made of.
    made_of: egress::Options,
}

impl Settings {
    /// Whether only the settings and Hookwright itself set this header.
    pub(super) fn owns(&self, name: &HeaderName) -> bool {
        is_ours(name) || is_credential(name) || self.owned.contains(name)
    }
}

/// What all destinations have in common.
pub(super) struct Maker {
    pub(super) egress: Egress,
    pub(super) excerpt: usize,
    pub(super) user_agent: HeaderValue,
}

impl Maker {
    /// Keeps the client, and with it the open connections, of settings before
    /// these that lead to the same place in the same way.
    pub(super) fn make(
        &self,
        name: &Name,
        options: DestinationOptions,
        before: Option<&Settings>,
    ) -> Result<Settings, Problem> {
        let mut headers = options.headers;
        let signer = Signer::new(options.sign.as_ref());
        let mut owned: Vec<HeaderName> = signer.headers().cloned().collect();
        if let Some(name) = headers.keys().find(|name| is_ours(name) || owned.contains(name)) {
            return Err(Problem::Header(name.to_string()));
        }
        let secret = headers.iter().filter(|(_, value)| value.is_sensitive());
        owned.extend(secret.map(|(name, _)| name.clone()));
        // They may be credentials, and a sensitive value is not printed.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        let in_flight = options.in_flight.max(1);
        let made_of = egress::Options {
            name: name.to_string(),
            url: options.url,
            transport: options.transport,
            in_flight,
            excerpt: self.excerpt,
        };
        let client = match before.filter(|before| before.made_of == made_of) {
            Some(before) => before.client.clone(),
            None => self.egress.client(made_of.clone())?,
        };
        Ok(Settings {
            client,
            signer,
            headers,
            owned,
            user_agent: self.user_agent.clone(),
            policy: options.policy,
            timeout: options.timeout,
            care: Care { breaker: options.breaker, adaptive: options.adaptive, in_flight },
            disable_after: options.disable_after,
            rate: options.rate,
            disabled: options.disabled,
            made_of,
        })
    }
}
