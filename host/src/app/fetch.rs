//! Fetches keys for the ingress, by the same guarded client that delivers.
use std::time::Duration;

use crate::egress::{self, Egress};
use crate::ingress::{Fetch, Fetching};
use crate::model::Outcome;

/// Over look-up, connection, TLS and the whole answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Certificates and key sets have a few KiB.
const MOST: usize = 256 * 1024;

/// To public addresses only, whatever a name says.
#[derive(Default)]
pub(super) struct Fetcher(std::sync::Arc<Egress>);

impl Fetch for Fetcher {
    fn fetch(&self, url: String) -> Fetching {
        let egress = self.0.clone();
        Box::pin(async move {
            let uri = url.parse().map_err(|_| format!("`{url}` is no URL"))?;
            let options = egress::Options { excerpt: MOST, ..egress::Options::new("keys", uri) };
            let client = egress.client(options).map_err(|error| error.to_string())?;
            match client.get(PATIENCE).await {
                Outcome::Answered { status: 200..=299, excerpt, .. } if excerpt.len() < MOST => {
                    Ok(excerpt)
                }
                Outcome::Answered { status, .. } => Err(format!("{url} answered {status}")),
                Outcome::Failed { message, .. } => Err(format!("{url}: {message}")),
                Outcome::Taken => Err(format!("{url} answered without a status")),
            }
        })
    }
}
