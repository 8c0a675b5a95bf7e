//! One call: the event in the guest's terms, the first slice on the caller's thread, the rest in the slow lane.
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use http::HeaderName;

use crate::run::answer::Answer;
use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::bindings::hookwright::plugin::types;
use crate::run::call::{Call, CallMode};
use crate::run::code::Code;
use crate::run::context::{Capabilities, RunContext};
use crate::run::fault::{FailedCall, Fault, explain};
use crate::run::instance::{self, Ended};
use crate::run::log::Log;
use crate::run::pool::Pool;
use crate::run::slow::{LaneHint, Overrun, SlowLane, Task, thread_cpu, thread_cpu_at};
use crate::run::verdict::{self, Verdict};
use hookwright_model::Name;
use hookwright_model::plugin::Limits;

/// A call with its code and its bounds.
pub(crate) struct Setup<'a> {
    pub(crate) code: &'a Arc<Code>,
    pub(crate) plugin: &'a Name,
    pub(crate) limits: &'a Limits,
    /// Headers that the guest may see.
    pub(crate) headers: &'a [HeaderName],
    pub(crate) capabilities: &'a Capabilities,
    /// Where its instances are kept; none where each event has a fresh one.
    pub(crate) pool: Option<&'a Arc<Pool>>,
    pub(crate) hint: &'a LaneHint,
}

/// Makes the call; gives its answer for that version. What is `held` for it is kept until
/// the instance is gone, even where the caller goes away first.
pub(crate) async fn call(
    setup: &Setup<'_>,
    lane: &SlowLane,
    call: &Call<'_>,
    held: impl Send + 'static,
) -> Answer {
    let started = Instant::now();
    let id = call.event.id;
    let log = Arc::new(Log::new(setup.plugin.clone(), Some(id), setup.limits.log));
    let ended = run(setup, lane, call, &log, held).await;
    let (lines, last_error) = log.take();
    let memory = ended.as_ref().ok().map(|ended| ended.memory);
    let (mut changes, mut reply, mut requests) = (None, None, 0);
    let result = match ended {
        Ok(mut ended) => {
            (changes, reply) = (ended.changes.take(), ended.reply.take());
            requests = ended.requests;
            settle(ended, setup.limits, last_error.as_deref(), call.content_type)
        }
        // It waits for nobody: its thread got too little of the processor.
        Err(Overrun::Wall) if call.mode != CallMode::Decide => {
            Err(Fault::Host("too much else was to be done".into()))
        }
        Err(Overrun::Cpu | Overrun::Wall) => Err(Fault::Time(setup.limits.time)),
        Err(panic @ Overrun::Panic) => Err(Fault::Host(panic.to_string())),
    };
    let (digest, took) = (None, started.elapsed());
    if call.mode != CallMode::Preview {
        let stopped = result.as_ref().err().and_then(Fault::limit).is_some();
        setup.hint.note(took, stopped);
    }
    Answer { digest, took, memory, log: lines, result, changes, reply, requests }
}

async fn run(
    setup: &Setup<'_>,
    lane: &SlowLane,
    call: &Call<'_>,
    log: &Arc<Log>,
    held: impl Send + 'static,
) -> Result<Ended, Overrun> {
    let started = Instant::now();
    let context = RunContext::new(setup.code, setup.limits, setup.capabilities, call, log);
    // A preview has no part in instances that are kept.
    let pool = setup.pool.filter(|_| call.mode != CallMode::Preview).cloned();
    let event = lower(call, setup.headers);
    let mut task: Task<'static, Ended> = Box::pin(async move {
        let (_held, _running) = (held, context.code.running());
        match &pool {
            None => instance::handle(&context.code, context.store(), &event).await,
            Some(pool) => pool.handle(&context, &event).await,
        }
    });
    // What decides nothing takes no slice from those that do.
    if call.mode != CallMode::Decide || setup.hint.begins_in_lane() {
        return lane.run(setup.limits.time, Duration::ZERO, task).await;
    }
    let (limit, before) = (setup.limits.time, thread_cpu_at(started));
    let used = || thread_cpu().saturating_sub(before);
    // Most calls end here. The others continue in the lane, which polls them again, so nobody waits for this waker.
    let slice = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    match slice {
        // It can't have used more of the processor than went by.
        Poll::Ready(_) if started.elapsed() > limit && used() > limit => Err(Overrun::Cpu),
        Poll::Ready(ended) => Ok(ended),
        Poll::Pending => lane.run(limit, used(), task).await,
    }
}

fn settle(
    ended: Ended,
    limits: &Limits,
    last_error: Option<&str>,
    content_type: &str,
) -> Result<Verdict, Fault> {
    let Ended { answer, out_of_memory, .. } = ended;
    match answer {
        Ok(Ok(verdict)) => verdict::check(verdict, content_type).map_err(Fault::Contract),
        Ok(Err(types::Failure::Retry(text))) => Err(Fault::Retry(verdict::reason(&text))),
        Ok(Err(types::Failure::Reject(text))) => Err(Fault::Reject(verdict::reason(&text))),
        Ok(Err(types::Failure::Other(text))) => Err(Fault::Other(verdict::reason(&text))),
        Err(error) => {
            Err(explain(&FailedCall { error: &error, out_of_memory, last_error, limits }))
        }
    }
}

fn lower(call: &Call<'_>, headers: &[HeaderName]) -> handler::Event {
    let event = call.event;
    let named = headers.iter().flat_map(|name| {
        let values = event.headers.get_all(name).into_iter();
        values.map(|value| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
    });
    handler::Event {
        id: event.id.to_string(),
        source: event.source.as_str().to_owned(),
        kind: call.kind.to_owned(),
        content_type: call.content_type.to_owned(),
        received_ms: event.received_ms(),
        replay: call.replay,
        attributes: call.attributes.to_vec(),
        headers: named.collect(),
    }
}
