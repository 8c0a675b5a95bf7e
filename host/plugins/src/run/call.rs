//! One call: the event in the guest's terms, the first slice on the caller's thread, the rest in the slow lane.
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderName;
use wasmtime::Store;

use crate::run::bindings::exports::hookwright::plugin::handler;
use crate::run::bindings::hookwright::plugin::types;
use crate::run::code::{self, Code, Ended};
use crate::run::fault::{Fault, Remains, explain};
use crate::run::host::Guest;
use crate::run::http::Reach;
use crate::run::kv::{Changes, Space};
use crate::run::log::Log;
use crate::run::slow::{Lane, Overrun, Pace, thread_cpu};
use crate::run::verdict::{self, Verdict};
use crate::run::warm::Pool;
use crate::run::wasi::Wasi;
use crate::version::serving::Seat;
use hookwright_model::plugin::Limits;
use hookwright_model::{Decision, Digest, Event, EventId, Name, Payload, Reply};

/// What comes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Aim {
    /// It decides about its event.
    #[default]
    Decide,
    /// It is compared with another version's, and counted.
    Shadow,
    /// A person looks at it: nothing else knows of it.
    Preview,
}

/// What a plugin is asked about: the event, as the plugins before left it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub event: &'a Event,
    pub body: &'a Bytes,
    pub content_type: &'a str,
    pub kind: &'a str,
    pub attributes: &'a [(String, String)],
    /// A person asked for the event to be handled again.
    pub replay: bool,
    /// Only where it decides may anything leave the host for it.
    pub aim: Aim,
}

impl<'a> Call<'a> {
    /// About an event as it came.
    pub fn about(event: &'a Event) -> Self {
        Self {
            event,
            body: &event.body,
            content_type: event.content_type(),
            kind: &event.kind,
            attributes: &[],
            replay: false,
            aim: Aim::Decide,
        }
    }

    /// About an event with what the plugins before have changed.
    pub fn after(
        event: &'a Event,
        changed: &'a Payload,
        attributes: &'a [(String, String)],
        replay: bool,
    ) -> Self {
        let came = Self::about(event);
        Self {
            body: changed.body.as_ref().unwrap_or(came.body),
            content_type: changed.content_type.as_deref().unwrap_or(came.content_type),
            kind: changed.kind.as_deref().unwrap_or(came.kind),
            attributes,
            replay,
            ..came
        }
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Answer {
    /// The version that answered; none where none was loaded.
    pub digest: Option<Digest>,
    pub took: Duration,
    /// Bytes of memories and tables that the instance held at its end; none
    /// where it was stopped.
    pub memory: Option<u64>,
    /// The log lines of the call, to the cap.
    pub log: Vec<String>,
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

/// A call with its code and its bounds.
pub(crate) struct Setup<'a> {
    pub(crate) code: &'a Arc<Code>,
    pub(crate) plugin: &'a Name,
    pub(crate) limits: &'a Limits,
    /// Headers that the guest may see.
    pub(crate) headers: &'a [HeaderName],
    pub(crate) means: &'a Means,
    pub(crate) pace: &'a Pace,
}

/// What a version's calls have beyond their events, by its grants and settings.
#[derive(Clone, Default)]
pub(crate) struct Means {
    /// Its state.
    pub(crate) space: Option<Arc<Space>>,
    /// The hosts that it may ask.
    pub(crate) reach: Option<Reach>,
    /// It may answer the source.
    pub(crate) responds: bool,
    /// Where its instances are kept.
    pub(crate) pool: Option<Arc<Pool>>,
}

impl Means {
    /// Without a way out of the host; a preview has no part in instances that are kept either.
    fn aimed(&self, aim: Aim) -> Self {
        let mut means = self.clone();
        if aim != Aim::Decide {
            means.reach = self.reach.as_ref().map(Reach::offline);
        }
        if aim == Aim::Preview {
            means.pool = None;
        }
        means
    }
}

/// What a guest begins an event with.
pub(crate) struct Begin {
    pub(crate) code: Arc<Code>,
    pub(crate) limits: Limits,
    pub(crate) log: Arc<Log>,
    means: Means,
    aim: Aim,
    body: Bytes,
    id: EventId,
    received_ms: u64,
}

impl Begin {
    fn new(setup: &Setup<'_>, call: &Call<'_>, log: &Arc<Log>) -> Self {
        Self {
            code: setup.code.clone(),
            limits: *setup.limits,
            log: log.clone(),
            means: setup.means.aimed(call.aim),
            aim: call.aim,
            body: call.body.clone(),
            id: call.event.id,
            received_ms: call.event.received_ms(),
        }
    }

    pub(crate) fn guest(&self) -> Guest {
        let mut guest = Guest::new(&self.limits, self.log.clone(), self.body.clone());
        if self.code.wants_wasi {
            let seed = (self.id.row().cast_unsigned(), self.id.node());
            guest.wasi = Some(Box::new(Wasi::new(self.received_ms, seed, &self.log)));
        }
        let means = &self.means;
        let apart = self.aim == Aim::Preview;
        guest.changes = means.space.clone().map(|space| Box::new(Changes::new(space, apart)));
        guest.reach = means.reach.clone();
        guest.replies = means.responds.then_some(None);
        guest
    }

    pub(crate) fn store(&self) -> Store<Guest> {
        code::store(self.code.engine(), self.guest(), self.limits.output)
    }
}

/// Makes the call; gives its answer for that version. The seat is kept until
/// the instance is gone, even where the caller goes away first.
pub(crate) async fn call(
    setup: &Setup<'_>,
    lane: &Lane,
    call: &Call<'_>,
    seat: Option<Seat>,
) -> Answer {
    let started = Instant::now();
    let id = call.event.id;
    let log = Arc::new(Log::new(setup.plugin.clone(), Some(id), setup.limits.log));
    let ended = run(setup, lane, call, &log, seat).await;
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
        Err(Overrun::Wall) if call.aim != Aim::Decide => {
            Err(Fault::Host("too much else was to be done".into()))
        }
        Err(Overrun::Cpu | Overrun::Wall) => Err(Fault::Time(setup.limits.time)),
        Err(panic @ Overrun::Panic) => Err(Fault::Host(panic.to_string())),
    };
    let (digest, took) = (None, started.elapsed());
    if call.aim != Aim::Preview {
        let stopped = result.as_ref().err().and_then(Fault::limit).is_some();
        setup.pace.note(took, stopped);
    }
    Answer { digest, took, memory, log: lines, result, changes, reply, requests }
}

async fn run(
    setup: &Setup<'_>,
    lane: &Lane,
    call: &Call<'_>,
    log: &Arc<Log>,
    seat: Option<Seat>,
) -> Result<Ended, Overrun> {
    let started = Instant::now();
    let begin = Begin::new(setup, call, log);
    let event = lower(call, setup.headers);
    let mut task: crate::run::slow::Task<'static, Ended> = Box::pin(async move {
        let (_seat, _running) = (seat, begin.code.running());
        match &begin.means.pool {
            None => code::handle(&begin.code, begin.store(), &event).await,
            Some(pool) => pool.handle(&begin, &event).await,
        }
    });
    // What decides nothing takes no slice from those that do.
    if call.aim != Aim::Decide || setup.pace.begins_in_lane() {
        return lane.run(setup.limits.time, Duration::ZERO, task).await;
    }
    let (limit, before) = (setup.limits.time, thread_cpu());
    let used = || thread_cpu().saturating_sub(before);
    // Most calls end here. The others go on in the lane, which polls them anew, so nobody waits for this waker.
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
        Err(error) => Err(explain(&Remains { error: &error, out_of_memory, last_error, limits })),
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
