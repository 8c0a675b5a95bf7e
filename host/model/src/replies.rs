//! Requests that wait for a plugin's answer, and the answers on their way to them.
//!
//! A request says that it will wait before its event is stored, since the
//! answer may be there before it knows the event's id.
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::{EventId, Reply};

/// Where requests and answers meet. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Replies(Arc<Mutex<Meeting>>);

#[derive(Debug, Default)]
struct Meeting {
    /// Requests under way that will wait or do.
    expecting: usize,
    waiting: HashMap<EventId, oneshot::Sender<Option<Reply>>>,
    /// Answers whose requests do not know their event yet: no more than there
    /// are requests under way.
    early: BTreeMap<EventId, Option<Reply>>,
}

/// A request's word that it will wait. Until it is dropped, an answer that comes is kept.
#[derive(Debug)]
pub struct Expected {
    replies: Replies,
    event: Option<EventId>,
}

impl Replies {
    /// To be called before the event is stored.
    pub fn expect(&self) -> Expected {
        self.0.lock().expecting += 1;
        Expected { replies: self.clone(), event: None }
    }

    /// An event was routed for the first time, with an answer or without one.
    pub fn give(&self, event: EventId, reply: Option<Reply>) {
        let mut meeting = self.0.lock();
        if let Some(waiting) = meeting.waiting.remove(&event) {
            // Whoever waited may be gone.
            let _ = waiting.send(reply);
            return;
        }
        if meeting.expecting == 0 {
            return;
        }
        meeting.early.insert(event, reply);
        while meeting.early.len() > meeting.expecting {
            meeting.early.pop_first();
        }
    }
}

impl Expected {
    /// The answer for the event; none where there is none within that time.
    pub async fn wait(mut self, event: EventId, within: Duration) -> Option<Reply> {
        let waiting = {
            let mut meeting = self.replies.0.lock();
            if let Some(early) = meeting.early.remove(&event) {
                return early;
            }
            let (sender, waiting) = oneshot::channel();
            meeting.waiting.insert(event, sender);
            waiting
        };
        self.event = Some(event);
        tokio::time::timeout(within, waiting).await.ok()?.ok()?
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        let mut meeting = self.replies.0.lock();
        meeting.expecting -= 1;
        if let Some(event) = self.event {
            meeting.waiting.remove(&event);
        }
        if meeting.expecting == 0 {
            meeting.early.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(row: i64) -> EventId {
        EventId::new(row, 7)
    }

    fn reply(text: &'static str) -> Option<Reply> {
        let (status, headers) = (http::StatusCode::OK, http::HeaderMap::new());
        Some(Reply { status, headers, body: text.into() })
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_found_whether_it_comes_before_or_after() {
        let replies = Replies::default();
        let (first, second) = (replies.expect(), replies.expect());
        replies.give(id(1), reply("early"));
        assert_eq!(first.wait(id(1), LONG).await, reply("early"));
        let (late, waited) = (replies.clone(), second.wait(id(2), LONG));
        let give = async { late.give(id(2), reply("late")) };
        assert_eq!(tokio::join!(waited, give).0, reply("late"));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_or_for_nothing_gets_none_and_nothing_is_left() {
        let replies = Replies::default();
        assert_eq!(replies.expect().wait(id(1), LONG).await, None);
        let expected = replies.expect();
        replies.give(id(2), None);
        assert_eq!(expected.wait(id(2), LONG).await, None);
        replies.give(id(3), reply("to nobody"));
        let meeting = replies.0.lock();
        assert_eq!((meeting.expecting, meeting.waiting.len(), meeting.early.len()), (0, 0, 0));
    }

    #[test]
    fn answers_that_nobody_fetches_are_bounded_by_the_requests_under_way() {
        let replies = Replies::default();
        let expected = [replies.expect(), replies.expect()];
        for row in 0..100 {
            replies.give(id(row), reply("x"));
        }
        assert_eq!(replies.0.lock().early.len(), 2);
        drop(expected);
        assert_eq!(replies.0.lock().early.len(), 0);
    }
}
