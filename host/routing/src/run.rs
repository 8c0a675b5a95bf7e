//! Runs one event through its source's plugins, in order, to its outcome.
use std::sync::Arc;
use std::time::Duration;

use super::pipeline::Pipeline;
use super::services::Services;
use hookwright_model::clock::millis;
use hookwright_model::plugin::OnFailure;
use hookwright_model::{Delivery, Event, EventState, Name, Payload, Reply, VerdictRecord};
use hookwright_plugins::{Answer, Call, CallMode, Changes, Fault, Target, Verdict};
use hookwright_store::Routed;

/// Tries of an event, at most, before the plugin's `on_failure` applies.
const MAX_TRIES: u32 = 8;
/// The wait before the second try; each further wait is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The event as the plugins so far have left it.
#[derive(Default)]
struct Draft {
    /// What plugins changed.
    payload: Payload,
    attributes: Vec<(String, String)>,
}

/// How the pipeline ended.
enum End {
    Deliver(Vec<Target>),
    Stop(EventState, String),
    Again(String),
    /// No plugin decided.
    Through,
}

/// The outcome of an event, the writes of its plugins to their state, and the response to its source.
pub(super) struct Outcome {
    pub(super) routed: Routed,
    pub(super) changes: Vec<Changes>,
    pub(super) reply: Option<Reply>,
}

impl From<Routed> for Outcome {
    fn from(routed: Routed) -> Self {
        Self { routed, changes: Vec::new(), reply: None }
    }
}

/// Why an event is taken through its plugins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Turn {
    pub(super) replay: bool,
    pub(super) mode: CallMode,
    /// Tries before this one.
    pub(super) tries: u32,
}

/// Takes an event through its plugins. Nothing of it is recorded yet.
pub(super) async fn run(
    pipeline: &Pipeline,
    services: &Services,
    event: &Arc<Event>,
    Turn { replay, mode, tries }: Turn,
) -> Outcome {
    let (mut changes, mut reply) = (Vec::new(), None);
    let mut draft = Draft::default();
    if !pipeline.steps.is_empty() {
        draft.attributes = event.attributes();
    }
    let mut verdicts = Vec::with_capacity(pipeline.steps.len());
    if let Some(rules) = &pipeline.rules
        && let Err(invalid) = rules.check(&event.kind, &event.headers, &event.body)
    {
        let end = End::Stop(EventState::Parked, format!("invalid: {invalid}"));
        return conclude(pipeline, services, event, draft, end, verdicts, tries).into();
    }
    let mut end = End::Through;
    // All versions at once, so that a swap takes effect between two events.
    let pinned = services.plugins.pin(&pipeline.plugins);
    for (place, step) in pipeline.steps.iter().enumerate() {
        let call = Call { mode, ..Call::after(event, &draft.payload, &draft.attributes, replay) };
        let mut answer = pinned.call(place, &call).await;
        verdicts.push(verdict_record(&step.plugin, &answer));
        if answer.result.is_ok() {
            reply = answer.reply.take().map(|reply| *reply).or(reply);
            changes.extend(answer.changes.take().filter(|changes| changes.used()).map(|own| *own));
        }
        let ended = match answer.result {
            Ok(Verdict::Pass) => None,
            Ok(Verdict::Amend(amendment)) => {
                amendment.apply(&mut draft.payload, &mut draft.attributes);
                None
            }
            Ok(Verdict::Drop(reason)) => Some(End::Stop(EventState::Dropped, reason)),
            Ok(Verdict::Deliver(targets)) => Some(match pipeline.unknown(&step.plugin, &targets) {
                None => End::Deliver(targets),
                Some(why) => End::Stop(EventState::Parked, why),
            }),
            Err(fault) => failed(step.on_failure, &step.plugin, &fault, tries),
        };
        if let Some(ended) = ended {
            end = ended;
            break;
        }
    }
    let routed = conclude(pipeline, services, event, draft, end, verdicts, tries);
    // An event that is parked or retried will be counted when it is routed successfully.
    if !matches!(routed.state, EventState::Routed | EventState::Dropped | EventState::Unrouted) {
        changes.clear();
        reply = None;
    }
    Outcome { routed: Routed { first: !replay, ..routed }, changes, reply }
}

fn failed(on_failure: OnFailure, plugin: &str, fault: &Fault, tries: u32) -> Option<End> {
    let reason = format!("{plugin}: {fault}");
    match (fault, on_failure) {
        (Fault::Retry(_), _) if tries + 1 < MAX_TRIES => Some(End::Again(reason)),
        (Fault::Reject(_), _) | (_, OnFailure::DeadLetter) => {
            Some(End::Stop(EventState::Dead, reason))
        }
        (_, OnFailure::Park) => Some(End::Stop(EventState::Parked, reason)),
        (_, OnFailure::Skip) => None,
    }
}

fn conclude(
    pipeline: &Pipeline,
    services: &Services,
    event: &Arc<Event>,
    draft: Draft,
    end: End,
    verdicts: Vec<VerdictRecord>,
    tries: u32,
) -> Routed {
    let now_ms = services.clock.now_ms();
    let mut routed = Routed {
        event: event.clone(),
        state: EventState::Routed,
        reason: None,
        verdicts,
        deliveries: Vec::new(),
        first: false,
        state_rows: Vec::new(),
        retry_ms: 0,
        tries: 0,
    };
    match end {
        End::Deliver(targets) => {
            routed.deliveries = draft.into_targets(pipeline, event, targets, now_ms);
        }
        End::Through => {
            routed.deliveries = draft.into_defaults(pipeline, event, now_ms);
        }
        End::Stop(state, reason) => (routed.state, routed.reason) = (state, Some(reason)),
        End::Again(reason) => {
            let wait = FIRST_RETRY.saturating_mul(1 << tries.min(16));
            routed.state = EventState::Accepted;
            routed.reason = Some(reason);
            routed.retry_ms = now_ms.saturating_add(millis(wait));
            routed.tries = tries + 1;
        }
    }
    if routed.state == EventState::Routed && routed.deliveries.is_empty() {
        routed.state = EventState::Unrouted;
        routed.reason = Some("no plugin chose a destination and its source names none".into());
    }
    if let Some(reason) = &routed.reason {
        let (id, state) = (event.id, routed.state.as_str());
        tracing::debug!(event = %id, source = %event.source, state, reason, "routing ended");
    }
    routed
}

impl Draft {
    /// The source's own destinations share one payload.
    fn into_defaults(self, pipeline: &Pipeline, event: &Arc<Event>, now_ms: u64) -> Vec<Delivery> {
        let shared = (!self.payload.is_original()).then(|| Arc::new(self.payload));
        let deliver = |destination: &Name| {
            let due_ms = pipeline.due_ms(destination, now_ms);
            let order_key = pipeline.order_key(event, destination, None);
            Delivery { order_key, ..delivery(event, destination.clone(), shared.clone(), due_ms) }
        };
        pipeline.destinations.iter().map(deliver).collect()
    }

    fn into_targets(
        self,
        pipeline: &Pipeline,
        event: &Arc<Event>,
        targets: Vec<Target>,
        now_ms: u64,
    ) -> Vec<Delivery> {
        let shared = (!self.payload.is_original()).then(|| Arc::new(self.payload.clone()));
        let deliver = |target: Target| {
            let payload = if target.payload.is_original() {
                shared.clone()
            } else {
                let mut payload = self.payload.clone();
                payload.overlay(target.payload);
                Some(Arc::new(payload))
            };
            let due_ms = pipeline.due_ms(&target.destination, now_ms);
            let due_ms = due_ms.max(now_ms.saturating_add(millis(target.delay)));
            let key = target.order_key.as_deref();
            let order_key = pipeline.order_key(event, &target.destination, key);
            Delivery { order_key, ..delivery(event, target.destination, payload, due_ms) }
        };
        targets.into_iter().map(deliver).collect()
    }
}

fn delivery(
    event: &Arc<Event>,
    destination: Name,
    payload: Option<Arc<Payload>>,
    due_ms: u64,
) -> Delivery {
    let event = event.clone();
    Delivery {
        event,
        destination,
        payload,
        due_ms,
        order_key: None,
        tries: 0,
        attempts: 0,
        replayed: false,
    }
}

fn verdict_record(plugin: &str, answer: &Answer) -> VerdictRecord {
    VerdictRecord {
        plugin: plugin.to_owned(),
        digest: answer.digest,
        decision: answer.decision(),
        used: answer.used().map(str::to_owned).collect(),
        took_us: u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX),
        log: answer.log.clone(),
    }
}
