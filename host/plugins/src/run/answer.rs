//! What came of a call: the verdict or the fault, and what else the guest left.
use std::time::Duration;

use crate::run::fault::Fault;
use crate::run::kv::Changes;
use crate::run::verdict::Verdict;
use hookwright_model::{Decision, Digest, Reply};

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    /// The version that answered; none where none was loaded.
    pub digest: Option<Digest>,
    /// Wall-clock time of the call.
    pub took: Duration,
    /// Bytes of memories and tables that the instance held at its end; none
    /// where it was stopped.
    pub memory: Option<u64>,
    /// The log lines of the call, to the cap.
    pub log: Vec<String>,
    /// The verdict, or why there is none.
    pub result: Result<Verdict, Fault>,
    /// What it wrote to its state, to be committed once its event is routed.
    pub changes: Option<Box<Changes>>,
    /// What the source is to get in place of the usual answer.
    pub reply: Option<Box<Reply>>,
    /// Requests that it made.
    pub requests: u32,
}

impl Answer {
    /// One that no guest had a part in.
    pub(crate) fn without_call(digest: Option<Digest>, fault: Fault) -> Self {
        Self {
            digest,
            took: Duration::ZERO,
            memory: None,
            log: Vec::new(),
            result: Err(fault),
            changes: None,
            reply: None,
            requests: 0,
        }
    }

    /// Grants that the call made use of.
    pub fn used(&self) -> impl Iterator<Item = &'static str> {
        let kv = self.changes.as_ref().is_some_and(|changes| changes.used());
        let all = [("kv", kv), ("http", self.requests > 0), ("responder", self.reply.is_some())];
        all.into_iter().filter_map(|(grant, used)| used.then_some(grant))
    }

    /// As it is kept with the event.
    pub fn decision(&self) -> Decision {
        match &self.result {
            Ok(Verdict::Pass) => Decision::Pass,
            Ok(Verdict::Amend(_)) => Decision::Amend,
            Ok(Verdict::Drop(reason)) => Decision::Drop(reason.clone()),
            Ok(Verdict::Deliver(targets)) => Decision::Deliver(targets.len()),
            Err(Fault::Retry(reason)) => Decision::Retry(reason.clone()),
            Err(Fault::Reject(reason)) => Decision::Reject(reason.clone()),
            Err(fault) => Decision::Fail(fault.to_string()),
        }
    }
}
