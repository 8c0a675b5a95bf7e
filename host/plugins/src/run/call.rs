//! The input of a call: the event as earlier plugins left it, and what the answer is for.
use bytes::Bytes;

use hookwright_model::{Event, Payload};

/// What the answer of a call is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallMode {
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
    /// The event as it was received.
    pub event: &'a Event,
    /// The body, perhaps changed by an earlier plugin.
    pub body: &'a Bytes,
    /// The content type, perhaps changed by an earlier plugin.
    pub content_type: &'a str,
    /// The event type, perhaps changed by an earlier plugin.
    pub kind: &'a str,
    /// The attributes that the source and earlier plugins gave it.
    pub attributes: &'a [(String, String)],
    /// A person asked for the event to be handled again.
    pub replay: bool,
    /// Requests are sent to other hosts only where this is [`CallMode::Decide`].
    pub mode: CallMode,
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
            mode: CallMode::Decide,
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
