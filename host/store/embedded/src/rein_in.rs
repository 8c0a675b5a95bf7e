//! Bringing back due times that a clock which was ahead has given out.
use std::time::Duration;

use super::engine::Embedded;
use crate::index::ops::Request;
use crate::index::rein::TooLate;
use hookwright_model::clock::millis;
use hookwright_store::StoreError;

impl Embedded {
    pub(super) fn rein_in(
        &self,
        destination: Option<&str>,
        now_ms: u64,
        longest: Duration,
    ) -> Result<u64, StoreError> {
        self.check_claims()?;
        let small = |ms: u64| ms.min(i64::MAX as u64 / 2) as i64;
        let dest = match destination {
            None => None,
            Some(name) => match self.counts.destination(name) {
                None => return Ok(0),
                known => known,
            },
        };
        let now_ms = small(now_ms);
        let times =
            TooLate { dest, now_ms, limit_ms: now_ms.saturating_add(small(millis(longest))) };
        let any = self.readers.with(|conn| Ok(times.is_any(conn)?))?;
        if any { self.index.ask(|reply| Request::ReinIn { times, count: 0, reply }) } else { Ok(0) }
    }
}
