//! The interface `responder`: the answer that a plugin wants its event's source to get.
use http::StatusCode;
use wasmtime::{Result, bail};

use crate::limits::REPLY_BODY;
use crate::run::bindings::hookwright::plugin::responder as contract;
use crate::run::guest::Guest;
use crate::run::headers::headers;
use hookwright_model::Reply;

impl contract::Host for Guest {
    async fn respond(
        &mut self,
        answer: contract::Answer,
    ) -> Result<std::result::Result<(), String>> {
        self.enter(answer.body.len()).await?;
        let Some(replies) = &mut self.replies else {
            bail!("`responder` is there while an event is handled, not in `describe` or `init`");
        };
        Ok(check(answer).map(|reply| *replies = Some(Box::new(reply))))
    }
}

fn check(answer: contract::Answer) -> std::result::Result<Reply, String> {
    let status = StatusCode::from_u16(answer.status)
        .map_err(|_| format!("the status {} is not in 200 to 499", answer.status))?;
    if answer.body.len() > REPLY_BODY {
        return Err(format!("a body of {} bytes; {REPLY_BODY} is the limit", answer.body.len()));
    }
    Reply::new(status, headers(answer.headers)?, answer.body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_no_redirect_into_nothing_and_no_server_error() {
        let answer = |status, name: &str, size| {
            let headers = vec![(name.to_owned(), "x".to_owned())];
            check(contract::Answer { status, headers, body: vec![0; size] })
        };
        assert!(answer(200, "content-type", 10).is_ok() && answer(499, "x-a", REPLY_BODY).is_ok());
        for (status, name, size) in [
            (199, "x-a", 0),
            (500, "x-a", 0),
            (1000, "x-a", 0),
            (200, "webhook-id", 0),
            (200, "content-length", 0),
            (200, "strict-transport-security", 0),
            (205, "x-a", 1),
            (200, "x-a", REPLY_BODY + 1),
        ] {
            assert!(answer(status, name, size).is_err(), "{status} {name} {size}");
        }
    }
}
