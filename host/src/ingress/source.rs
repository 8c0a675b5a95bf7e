//! One source, its settings made ready for use.
use std::net::SocketAddr;
use std::sync::Arc;

use http::Method;
use ipnet::IpNet;
use tokio::time::Instant;

use super::SourceOptions;
use super::facts::Facts;
use super::meters::Meters;
use super::rate::Bucket;
use super::refused::{Refused, reasons};
use crate::model::Name;
use crate::signing::{Request, Verified, Verifier};

pub(super) struct Source {
    pub(super) name: Name,
    pub(super) facts: Facts,
    pub(super) max_body: usize,
    pub(super) meters: Meters,
    verifier: Verifier,
    allow: Vec<IpNet>,
    bucket: Option<Arc<Bucket>>,
}

impl Source {
    /// `before` is the same source under the settings before: its rate goes on
    /// counting where the new settings have the same one.
    pub(super) fn new(name: Name, options: &SourceOptions, before: Option<&Self>) -> Self {
        let bucket = options.rate.map(|rate| {
            let kept = before.and_then(|source| source.bucket.clone());
            kept.filter(|bucket| bucket.rate == rate).unwrap_or_else(|| Bucket::new(rate).into())
        });
        Self {
            facts: Facts::new(&options.kind, options.dedupe.as_ref()),
            max_body: options.max_body,
            meters: Meters::new(&name, reasons()),
            verifier: Verifier::new(&options.verify),
            allow: options.allow.clone(),
            bucket,
            name,
        }
    }

    /// What can be told from the head alone, the cheapest first.
    pub(super) fn admit(
        &self,
        method: &Method,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), Refused> {
        if method != Method::POST {
            return Err(Refused::Method);
        }
        let address = peer.ip().to_canonical();
        if !self.allow.is_empty() && !self.allow.iter().any(|net| net.contains(&address)) {
            return Err(Refused::Address);
        }
        match &self.bucket {
            Some(bucket) => bucket.take(now).map_err(|wait| Refused::Rate { wait }),
            None => Ok(()),
        }
    }

    pub(super) fn verify(&self, request: &Request<'_>, now_s: u64) -> Result<Verified, Refused> {
        let verified = self.verifier.verify(request, now_s);
        verified.map_err(|refusal| {
            let challenge = self.verifier.challenge();
            Refused::NotVerified { refusal, challenge }
        })
    }
}
