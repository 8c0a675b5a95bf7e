//! The world in a plugin's own tests: what the test answers.
use std::cell::RefCell;

use super::{HttpError, Request, Response};

type Answers = Box<dyn FnMut(&Request) -> Result<Response, HttpError>>;

thread_local! {
    static ANSWERS: RefCell<Option<Answers>> = const { RefCell::new(None) };
}

/// Answers this thread's requests from now on; without it they fail.
pub fn answer_requests(answers: impl FnMut(&Request) -> Result<Response, HttpError> + 'static) {
    ANSWERS.set(Some(Box::new(answers)));
}

pub(crate) fn http_send(request: Request) -> Result<Response, HttpError> {
    // Taken out meanwhile, so that an answer may itself ask.
    let Some(mut answers) = ANSWERS.take() else {
        return Err(HttpError::Failed("the test answers no requests".into()));
    };
    let answer = answers(&request);
    ANSWERS.with_borrow_mut(|place| {
        place.get_or_insert(answers);
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, ErrorKind, http};

    #[test]
    fn the_test_answers_and_errors_say_whether_to_try_again() {
        let kind = |error: HttpError| Error::from(error).kind();
        assert_eq!(kind(http::get("https://a/").send().unwrap_err()), ErrorKind::Retry);
        answer_requests(|request| match request.body() {
            b"ping" if request.is_post() => Ok(Response::new(200, "pong")),
            _ => Err(HttpError::Refused("only pings".into())),
        });
        let pong = http::post("https://a/", "ping").header("x-a", "b").send().unwrap();
        assert_eq!((pong.status(), pong.text(), pong.header("x-a")), (200, Some("pong"), None));
        assert_eq!(kind(http::get("https://a/").send().unwrap_err()), ErrorKind::Other);
    }
}
