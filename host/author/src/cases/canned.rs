//! Answers a plugin's requests with what the current case says; nothing is sent.
use std::cmp::Reverse;

use parking_lot::Mutex;

use super::exchange::{Exchange, skeleton};
use hookwright_plugins::{Fetch, FetchError, Fetching, Incoming, Outgoing};

/// Cases run one after the other, so there is one script at a time.
#[derive(Default)]
pub(super) struct Canned(Mutex<Script>);

#[derive(Default)]
struct Script {
    lines: Vec<Line>,
    /// Bodies are compared byte for byte.
    exact: bool,
    /// Requests without an answer, as they are told.
    strays: Vec<String>,
}

struct Line {
    /// Among the tables `[[http]]`, from 1.
    number: usize,
    exchange: Exchange,
    used: bool,
}

impl Canned {
    pub(super) fn begin(&self, exchanges: &[Exchange], exact: bool) {
        let lines = exchanges.iter().cloned().zip(1..);
        let lines = lines.map(|(exchange, number)| Line { number, exchange, used: false });
        *self.0.lock() = Script { lines: lines.collect(), exact, strays: Vec::new() };
    }

    /// What of the requests was not as the case has it, one text for each.
    pub(super) fn end(&self) -> Vec<String> {
        let Script { lines, mut strays, .. } = std::mem::take(&mut *self.0.lock());
        strays.extend(lines.iter().filter(|line| !line.used).map(
            |Line { number, exchange, .. }| {
                format!("never asked for: [[http]] number {number}, {}\n", exchange.short())
            },
        ));
        strays
    }
}

impl Fetch for Canned {
    fn fetch(&self, request: Outgoing) -> Fetching {
        let answer = self.0.lock().answer(&request);
        Box::pin(async move {
            // It takes the time that it takes in a host: the call may end before it.
            if answer.as_ref().is_err_and(|error| *error == FetchError::Timeout) {
                tokio::time::sleep(request.timeout).await;
            }
            answer
        })
    }
}

impl Script {
    fn answer(&mut self, request: &Outgoing) -> Result<Incoming, FetchError> {
        let unused = self.lines.iter_mut().filter(|line| !line.used);
        let fit = unused.filter(|line| line.exchange.is_for(request, self.exact));
        // One that expects less may be meant for another request; of equals the first.
        if let Some(line) = fit.min_by_key(|line| Reverse(line.exchange.conditions())) {
            line.used = true;
            return line.exchange.clone().into_answer();
        }
        self.strays.push(format!("{}:\n{}", self.why(request), skeleton(request)));
        Err(FetchError::Failed("the case has no answer to this request".into()))
    }

    /// Why nothing answers the request.
    fn why(&self, request: &Outgoing) -> String {
        let near: Vec<_> =
            self.lines.iter().filter(|line| line.exchange.is_for_place(request)).collect();
        for Line { number, exchange, .. } in near.iter().filter(|line| !line.used) {
            if let Some(unlike) = exchange.unlike(request, self.exact) {
                return format!(
                    "asked with another {unlike} than [[http]] number {number} expects"
                );
            }
        }
        match near.len() {
            0 => "no answer is written for this request; above [expect] would stand".into(),
            count => format!("asked more often than answers are written ({count})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use http::{HeaderMap, Method, Uri};

    use super::super::Case;
    use super::*;

    fn begun(tables: &str) -> Canned {
        let text = format!("grants = [\"http:a.example\"]\n{tables}");
        let case = Case::parse(Path::new("case"), &text, &toml::Table::new()).unwrap();
        let canned = Canned::default();
        canned.begin(&case.http, false);
        canned
    }

    fn post(path: &str, body: &'static str) -> Outgoing {
        Outgoing {
            method: Method::POST,
            url: format!("https://a.example{path}").parse::<Uri>().unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
            timeout: Duration::from_millis(50),
            private: false,
        }
    }

    async fn status(canned: &Canned, path: &str, body: &'static str) -> Option<u16> {
        canned.fetch(post(path, body)).await.ok().map(|answer| answer.status)
    }

    /// A table for POST; `what` is more of the request, `answer` the answer.
    fn table(path: &str, what: &str, answer: &str) -> String {
        let url = format!("url = \"https://a.example{path}\"");
        format!("[[http]]\nmethod = \"POST\"\n{url}\n{what}\nanswer = {{ {answer} }}\n")
    }

    #[tokio::test]
    async fn one_requests_answers_come_in_their_order_and_others_in_any() {
        let tables = [
            table("/a", "", "status = 201"),
            table("/b", "", "status = 202"),
            table("/a", "", "status = 203"),
            table("/a", "body = '{\"n\": 1}'", "status = 204"),
        ];
        let canned = begun(&tables.concat());
        assert_eq!(status(&canned, "/b", "").await, Some(202));
        // What is meant for this request alone comes before what fits any.
        assert_eq!(status(&canned, "/a", "{\"n\":1}").await, Some(204));
        assert_eq!(status(&canned, "/a", "{\"n\":1}").await, Some(201));
        assert_eq!(status(&canned, "/a", "").await, Some(203));
        assert_eq!(canned.end(), [""; 0]);
        assert_eq!(status(&canned, "/a", "").await, None, "the next case has its own");
    }

    #[tokio::test]
    async fn what_has_no_answer_is_told_with_its_reason() {
        let tables = table("/a", "body = 'x'", "status = 201") + &table("/b", "", "status = 202");
        let canned = begun(&tables);
        for (path, body) in [("/c", ""), ("/a", "y"), ("/b", ""), ("/b", "")] {
            status(&canned, path, body).await;
        }
        let told = canned.end();
        let firsts: Vec<_> = told.iter().filter_map(|text| text.lines().next()).collect();
        assert_eq!(
            firsts,
            [
                "no answer is written for this request; above [expect] would stand:",
                "asked with another body than [[http]] number 1 expects:",
                "asked more often than answers are written (1):",
                "never asked for: [[http]] number 1, POST https://a.example/a",
            ]
        );
        assert!(told[1].contains("method = \"POST\"\n") && told[1].contains("body = 'y'\n"));
    }

    #[tokio::test]
    async fn a_time_out_takes_the_requests_own_time() {
        let canned = begun(&table("/a", "", "failure = \"timeout\""));
        let began = Instant::now();
        let answer = canned.fetch(post("/a", "")).await;
        assert_eq!(answer.unwrap_err(), FetchError::Timeout);
        assert!(began.elapsed() >= Duration::from_millis(50));
    }
}
