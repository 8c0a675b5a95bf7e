//! The answer to the request that brought the event.
//!
//! Wants `grants = ["responder"]`. The event is durable by then, and the source
//! waits as long as its `respond_within` says, 2 s by default; where that passes
//! first, or the event is parked, dead or tried again, it gets the usual 202.
//! To a replay nobody listens.
//!
//! ```
//! use hookwright_plugin::{prelude::*, responder::Answer, testing};
//!
//! fn handle(event: Event) -> Result<Verdict> {
//!     if let Some(challenge) = event.pointer("/challenge").and_then(|value| value.text()) {
//!         Answer::text(200, challenge).respond()?;
//!         return Ok(Verdict::drop("a handshake"));
//!     }
//!     Ok(Verdict::pass())
//! }
//!
//! handle(Event::sample().body(r#"{"challenge": "abc"}"#).build()).unwrap();
//! assert_eq!(testing::take_answer(), Some(Answer::text(200, "abc")));
//! ```
use std::fmt;

#[cfg(target_arch = "wasm32")]
use crate::guest as host;

#[cfg(not(target_arch = "wasm32"))]
use double as host;

/// An answer in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is given by `respond`"]
pub struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What the host finds wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadAnswer(pub(crate) String);

impl fmt::Display for BadAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer can't be given: {}", self.0)
    }
}

impl std::error::Error for BadAnswer {}

impl Answer {
    /// An answer with a status from 200 to 499 and a body of at most 1 MiB.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The same as `text/plain`.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "text/plain; charset=utf-8")
    }

    /// The same as `application/json`, from JSON text.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self::new(status, body.into()).header("content-type", "application/json")
    }

    /// One more header. Those that the host owns are refused.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Gives it to the source, in place of any that an event's plugin gave before.
    ///
    /// # Errors
    /// Where its status, a header or its size is not allowed.
    pub fn respond(self) -> Result<(), BadAnswer> {
        host::respond(self)
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod double {
    //! The source in a plugin's own tests.
    use std::cell::RefCell;

    use super::{Answer, BadAnswer};

    thread_local! {
        static GIVEN: RefCell<Option<Answer>> = const { RefCell::new(None) };
    }

    /// The last answer that this thread gave since this was asked.
    pub fn take_answer() -> Option<Answer> {
        GIVEN.take()
    }

    pub(crate) fn respond(answer: Answer) -> Result<(), BadAnswer> {
        if !(200..500).contains(&answer.status) {
            return Err(BadAnswer(format!("the status {} is not in 200 to 499", answer.status)));
        }
        if answer.body.len() > 1 << 20 {
            return Err(BadAnswer("the body has more than 1 MiB".into()));
        }
        GIVEN.set(Some(answer));
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_last_answer_counts_and_a_bad_one_changes_nothing() {
            Answer::text(200, "one").respond().unwrap();
            Answer::json(404, "{}").respond().unwrap();
            let error = crate::Error::from(Answer::new(500, "").respond().unwrap_err());
            assert!(error.message().contains("500"), "{error}");
            assert!(Answer::new(200, vec![0; (1 << 20) + 1]).respond().is_err());
            assert_eq!(take_answer(), Some(Answer::json(404, "{}")));
            assert_eq!(take_answer(), None);
        }
    }
}
