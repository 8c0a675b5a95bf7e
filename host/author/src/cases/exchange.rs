//! A request to another host and its answer, as a case writes them: a table `[[http]]`.
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use serde::Deserialize;

use super::body::Body;
use super::outcome::{Bodies, quoted, quoted_key, write_body};
use hookwright_plugins::{FetchError, HTTP_BODY, Incoming, Outgoing, check_url};

/// What a failure without a reason tells.
const REFUSED: &str = "connection refused";
/// Answers that a plugin may see; those below 200 come before one.
const STATUSES: std::ops::RangeInclusive<u16> = 200..=999;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    #[serde(default)]
    method: Method,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Body>,
    answer: AnswerPart,
}

#[derive(Deserialize, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "UPPERCASE")]
enum Method {
    #[default]
    Get,
    Post,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AnswerPart {
    status: Option<u16>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Body>,
    failure: Option<Failure>,
    reason: Option<String>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Failure {
    Failed,
    Timeout,
    TooLarge,
}

/// A request that is expected once, and what comes back.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    method: http::Method,
    url: Uri,
    /// Those that it must have; others may stand beside them.
    headers: HeaderMap,
    /// None: any.
    body: Option<Bytes>,
    answer: Result<Incoming, FetchError>,
}

/// The tables of a case, whose grants must allow them.
///
/// # Errors
/// With the table's number, the key, and what would be right.
pub(super) fn read(parts: Vec<Part>, grants: &[String], folder: &Path) -> Result<Vec<Exchange>> {
    let each = parts.into_iter().zip(1..).map(|(part, number): (Part, usize)| {
        part.read(grants, folder).with_context(|| format!("[[http]] number {number}"))
    });
    each.collect()
}

impl Part {
    fn read(self, grants: &[String], folder: &Path) -> Result<Exchange> {
        let url = check_url(grants, &self.url).map_err(|why| match why.starts_with("no grant") {
            true => anyhow::anyhow!(
                "url: {why}: write `grants = [\"http:HOST\"]` with it at the top of the case, or of defaults.toml"
            ),
            false => anyhow::anyhow!("url: {why}"),
        })?;
        let body = self.body.map(|body| body.read(folder)).transpose().context("body")?;
        let body = match self.method {
            Method::Get if body.is_some() => {
                bail!("body: a GET has none: write `method = \"POST\"`, or leave it out")
            }
            _ => body,
        };
        Ok(Exchange {
            method: match self.method {
                Method::Get => http::Method::GET,
                Method::Post => http::Method::POST,
            },
            url,
            headers: headers(self.headers)?,
            body,
            answer: self.answer.read(folder).context("answer")?,
        })
    }
}

impl AnswerPart {
    fn read(self, folder: &Path) -> Result<Result<Incoming, FetchError>> {
        if let Some(failure) = self.failure {
            let alone = self.status.is_none() && self.headers.is_empty() && self.body.is_none();
            ensure!(alone, "beside `failure` stands neither `status` nor `headers` nor `body`");
            ensure!(
                self.reason.is_none() || failure == Failure::Failed,
                "reason: only `failure = \"failed\"` has one"
            );
            return Ok(Err(match failure {
                Failure::Failed => FetchError::Failed(self.reason.unwrap_or(REFUSED.into())),
                Failure::Timeout => FetchError::Timeout,
                Failure::TooLarge => FetchError::TooLarge,
            }));
        }
        ensure!(self.reason.is_none(), "reason: only `failure = \"failed\"` has one");
        let Some(status) = self.status else {
            bail!("name `status`, or `failure` (failed, timeout, too-large)");
        };
        ensure!(STATUSES.contains(&status), "status = {status}: write one from 200 on");
        let body = self.body.map(|body| body.read(folder)).transpose().context("body")?;
        let headers = headers(self.headers)?;
        Ok(Ok(Incoming { status, headers, body: body.unwrap_or_default() }))
    }
}

fn headers(named: BTreeMap<String, String>) -> Result<HeaderMap> {
    let each = named.into_iter().map(|(name, value)| {
        let context = || format!("header `{name}`");
        let value = HeaderValue::from_str(&value).with_context(context)?;
        Ok((HeaderName::from_bytes(name.as_bytes()).with_context(context)?, value))
    });
    each.collect()
}

impl Exchange {
    /// Whether the request is the one that is meant. Bodies of JSON are compared
    /// by what they mean, unless `exact`.
    pub(super) fn is_for(&self, request: &Outgoing, exact: bool) -> bool {
        self.is_for_place(request) && self.unlike(request, exact).is_none()
    }

    /// Whether method and URL are those that are meant.
    pub(super) fn is_for_place(&self, request: &Outgoing) -> bool {
        self.method == request.method && self.url == request.url
    }

    /// What of the request is not as it is expected, beside method and URL.
    pub(super) fn unlike(&self, request: &Outgoing, exact: bool) -> Option<String> {
        let missing = |(name, value): &(&HeaderName, &HeaderValue)| {
            !request.headers.get_all(*name).iter().any(|other| other == *value)
        };
        if let Some((name, _)) = self.headers.iter().find(missing) {
            return Some(format!("header `{name}`"));
        }
        let bodies = if exact { Bodies::Exact } else { Bodies::Compared };
        let differs = self
            .body
            .as_ref()
            .is_some_and(|body| write_body(body, bodies) != write_body(&request.body, bodies));
        differs.then(|| "body".into())
    }

    /// How much is expected of the request beside method and URL.
    pub(super) fn conditions(&self) -> usize {
        self.headers.len() + usize::from(self.body.is_some())
    }

    /// In one line.
    pub(super) fn short(&self) -> String {
        format!("{} {}", self.method, self.url)
    }

    /// What comes back; a body beyond the host's cap never does.
    pub(super) fn into_answer(self) -> Result<Incoming, FetchError> {
        self.answer.and_then(|answer| match answer.body.len() > HTTP_BODY {
            true => Err(FetchError::TooLarge),
            false => Ok(answer),
        })
    }
}

/// The request as the table that would expect it, with an answer to be changed.
/// Each value stands in one line, so that it can be pasted from anywhere.
pub(super) fn skeleton(request: &Outgoing) -> String {
    let mut out = "[[http]]\n".to_owned();
    if request.method != http::Method::GET {
        out.push_str(&format!("method = \"{}\"\n", request.method));
    }
    out.push_str(&format!("url = {}\n", quoted(&request.url.to_string())));
    if !request.headers.is_empty() {
        let each = request.headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            format!("{} = {}", quoted_key(name.as_str()), one_line(&value))
        });
        out.push_str(&format!("headers = {{ {} }}\n", each.collect::<Vec<_>>().join(", ")));
    }
    if !request.body.is_empty() {
        let body = match std::str::from_utf8(&request.body) {
            // One newline at the end is the file's; see `Body`.
            Ok(text) if text.ends_with('\n') => one_line(&format!("{text}\n")),
            Ok(text) => one_line(text),
            Err(_) => write_body(&request.body, Bodies::Exact),
        };
        out.push_str(&format!("body = {body}\n"));
    }
    out + "answer = { status = 200, body = '{}' }\n"
}

/// A string of TOML without a line's end in it: a literal where it can be one.
fn one_line(text: &str) -> String {
    if !text.contains('\'') && !text.chars().any(char::is_control) {
        return format!("'{text}'");
    }
    // JSON's text is TOML's, but for one character.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Vec<Exchange>> {
        #[derive(Deserialize)]
        struct File {
            http: Vec<Part>,
        }
        let file: File = toml::from_str(text)?;
        read(file.http, &["http:a.example".into()], Path::new("."))
    }

    fn post(body: &str) -> Outgoing {
        let mut headers = HeaderMap::new();
        headers.append("accept", HeaderValue::from_static("text/plain"));
        headers.append("accept", HeaderValue::from_static("application/json"));
        Outgoing {
            method: http::Method::POST,
            url: Uri::from_static("https://a.example/x?y"),
            headers,
            body: body.to_owned().into(),
            timeout: std::time::Duration::from_secs(1),
            private: false,
        }
    }

    #[test]
    fn a_request_is_met_by_all_that_is_expected_of_it_and_no_more() {
        let meets = |keys: &str, exact| {
            let text = format!("[[http]]\nmethod = \"POST\"\n{keys}\nanswer = {{ status = 200 }}");
            parsed(&text).unwrap()[0].is_for(&post(r#"{"n":1,"m":2}"#), exact)
        };
        let url = "url = \"https://A.example/x?y\"\n";
        assert!(meets(url, true));
        assert!(!meets("url = \"https://a.example/x\"", false));
        assert!(meets(&format!("{url}headers = {{ Accept = \"application/json\" }}"), false));
        assert!(!meets(&format!("{url}headers = {{ accept = \"text/html\" }}"), false));
        let body = format!("{url}body = '''\n{{ \"m\": 2, \"n\": 1 }}\n'''");
        assert!(meets(&body, false) && !meets(&body, true));
        assert!(!meets(&format!("{url}body = '{{\"m\": 2}}'"), false));
    }

    #[test]
    fn answers_are_statuses_or_failures_within_the_caps() {
        let answer = |keys: &str| {
            let text = format!("[[http]]\nurl = \"http://a.example\"\nanswer = {{ {keys} }}");
            parsed(&text).unwrap().remove(0).into_answer()
        };
        let whole = answer("status = 302, headers = { Location = \"/b\" }, body = '{\"a\": 1.50}'")
            .unwrap();
        assert_eq!((whole.status, &whole.body[..]), (302, &b"{\"a\": 1.50}"[..]));
        assert_eq!(whole.headers["location"], "/b");
        assert_eq!(answer("failure = \"timeout\"").unwrap_err(), FetchError::Timeout);
        assert_eq!(answer("failure = \"too-large\"").unwrap_err(), FetchError::TooLarge);
        let failed = |why: &str| FetchError::Failed(why.into());
        assert_eq!(answer("failure = \"failed\"").unwrap_err(), failed(REFUSED));
        let told = answer("failure = \"failed\", reason = \"no such host\"");
        assert_eq!(told.unwrap_err(), failed("no such host"));
        let body = |more: usize| format!("status = 200, body = '{}'", "x".repeat(HTTP_BODY + more));
        assert_eq!(answer(&body(1)).unwrap_err(), FetchError::TooLarge);
        assert_eq!(answer(&body(0)).unwrap().body.len(), HTTP_BODY);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let url = "url = \"https://a.example/\"\n";
        for (keys, part) in [
            ("answer = { status = 200 }".to_owned(), "missing field `url`"),
            (url.to_owned(), "missing field `answer`"),
            (format!("{url}sttus = 1\nanswer = {{ status = 200 }}"), "line 3"),
            (format!("{url}answer = {{ status = 200, bdy = '' }}"), "unknown field `bdy`"),
            (format!("{url}method = \"PUT\"\nanswer = {{ status = 200 }}"), "`GET` or `POST`"),
            (format!("{url}answer = {{ failure = \"refused\" }}"), "`failed`, `timeout`"),
            (format!("{url}answer = {{}}"), "[[http]] number 1: answer: name `status`, or"),
            (format!("{url}answer = {{ status = 100 }}"), "status = 100"),
            (
                format!("{url}answer = {{ status = 200, failure = \"timeout\" }}"),
                "beside `failure`",
            ),
            (format!("{url}answer = {{ status = 200, reason = \"x\" }}"), "reason: only"),
            (format!("{url}answer = {{ failure = \"timeout\", reason = \"x\" }}"), "reason: only"),
            (format!("{url}body = 'x'\nanswer = {{ status = 200 }}"), "a GET has none"),
            (format!("{url}headers = {{ \"a b\" = \"\" }}\nanswer = {{ status = 200 }}"), "`a b`"),
            (
                "url = \"https://b.example/\"\nanswer = { status = 200 }".into(),
                "no grant for `b.example`: write",
            ),
            ("url = \"/x\"\nanswer = { status = 200 }".into(), "url: `/x` begins neither"),
        ] {
            let told = format!("{:#}", parsed(&format!("[[http]]\n{keys}")).unwrap_err());
            assert!(told.contains(part), "{keys}: {told}");
        }
    }

    #[test]
    fn a_skeleton_is_a_table_as_a_person_would_write_it() {
        let plain = Outgoing { method: http::Method::GET, headers: HeaderMap::new(), ..post("") };
        assert_eq!(
            skeleton(&plain),
            "[[http]]\nurl = \"https://a.example/x?y\"\nanswer = { status = 200, body = '{}' }\n"
        );
    }

    proptest! {
        #[test]
        fn a_skeleton_expects_the_request_that_it_was_made_of(
            body in "([a\n\r\t'\"\\\\{}é\u{1}\u{7f}]|''')*", value in "[a'\"\\\\é]*",
        ) {
            let mut request = post(&body);
            request.headers = HeaderMap::new();
            request.headers.insert("x-a", HeaderValue::from_str(&value).unwrap());
            let text = skeleton(&request);
            // As the page of results indents it.
            let moved: Vec<_> = text.lines().map(|line| format!("    {line}")).collect();
            prop_assert!(parsed(&moved.join("\n")).unwrap()[0].is_for(&request, true), "{}", text);
        }
    }
}
