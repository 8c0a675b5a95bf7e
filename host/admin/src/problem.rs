//! The admin side's one way from an error to an answer: a problem of the server's, never to be cached.
use axum::body::{Body, to_bytes};
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::control::SettingsMistake;
use hookwright_model::Scope;
use hookwright_server::ErrorCode;
use hookwright_store::StoreError;

/// Seconds after which a request that the store could not answer is worth another try.
const RETRY_AFTER_S: u64 = 5;
/// Bytes of a refusal of axum's that are read for the detail.
const REJECTION: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Problem(hookwright_server::Problem);

impl Problem {
    pub(super) fn unauthorized() -> Self {
        let detail = "send `authorization: Bearer TOKEN` with a token that `[admin]` names";
        Self::new(ErrorCode::Unauthorized, detail)
    }

    pub(super) fn not_local() -> Self {
        let detail = "without `admin.token` only requests to localhost, by programs or by its own \
                      pages, are answered; set `admin.token`";
        Self::new(ErrorCode::NotLocal, detail)
    }

    /// The token is good, and not for this.
    pub(super) fn scope(name: &str, has: Scope, needs: Scope) -> Self {
        let (has, needs) = (has.as_str(), needs.as_str());
        let detail = format!("the token `{name}` has the scope `{has}`; this needs `{needs}`");
        Self::new(ErrorCode::Forbidden, detail)
    }

    pub(super) fn too_large(max: usize) -> Self {
        Self::new(ErrorCode::BodyTooLarge, format!("the document is larger than {max} bytes"))
    }

    /// What only the operator may know goes to the log.
    pub(super) fn broken(error: impl std::fmt::Display) -> Self {
        let problem = hookwright_server::Problem::new(ErrorCode::Internal, "the log tells more");
        let request = problem.request();
        tracing::error!(%error, %request, "the admin side failed");
        Self(problem)
    }

    /// What can't be written down is not done.
    pub(super) fn unaudited(error: impl std::fmt::Display) -> Self {
        let detail =
            "the audit log can't be written, so nothing was changed; make room in `data_dir`";
        let problem = hookwright_server::Problem::new(ErrorCode::AuditFailed, detail)
            .retry_after(RETRY_AFTER_S);
        let request = problem.request();
        tracing::error!(%error, %request, "the audit log can't be written: a change is refused");
        Self(problem)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.0.code().status()
    }

    pub(super) fn slow() -> Self {
        Self::new(ErrorCode::BodyTimeout, "the document took too long; send it again")
    }

    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::new(ErrorCode::NotFound, what)
    }

    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::new(ErrorCode::BadRequest, what)
    }

    /// All that is wrong with the settings.
    pub(super) fn mistakes(mistakes: &[SettingsMistake]) -> Self {
        let told = match mistakes.len() {
            1 => "1 mistake in the settings; the old ones stay active".to_owned(),
            many => format!("{many} mistakes in the settings; the old ones stay active"),
        };
        Self(hookwright_server::Problem::new(ErrorCode::Invalid, told).errors(mistakes))
    }

    /// Too much of one asker is under way.
    pub(super) fn crowded(why: String) -> Self {
        Self(hookwright_server::Problem::new(ErrorCode::TooManyRequests, why).retry_after(1))
    }

    pub(super) fn conflict(why: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, why)
    }

    /// Worth another try soon.
    pub(super) fn busy(why: impl Into<String>) -> Self {
        Self(hookwright_server::Problem::new(ErrorCode::RateLimited, why.into()).retry_after(1))
    }

    fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        Self(hookwright_server::Problem::new(code, detail.into()))
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let code = match error {
            StoreError::Full => ErrorCode::StoreFull,
            StoreError::Closed => ErrorCode::ShuttingDown,
            StoreError::Failed(_) => ErrorCode::StoreFailed,
            StoreError::Damaged(_) => ErrorCode::EventDamaged,
        };
        let mut problem = hookwright_server::Problem::new(code, error.to_string());
        if code.retryable() {
            problem = problem.retry_after(RETRY_AFTER_S);
        }
        let request = problem.request();
        tracing::error!(%error, %request, "the store refused a request of the admin side");
        Self(problem)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.0.response().map(Body::new);
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.0.code() == ErrorCode::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::missing("no such page; the API is under /api/v1")
}

/// Makes problems of what axum refuses by itself in plain text: a wrong method,
/// a body that is too large, a path that can't be read.
pub(super) async fn uniform(response: Response) -> Response {
    let code = match response.status() {
        StatusCode::BAD_REQUEST => ErrorCode::BadRequest,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        _ => return response,
    };
    let kind = response.headers().get(CONTENT_TYPE);
    if kind.is_some_and(|kind| kind == "application/problem+json") {
        return response;
    }
    let (parts, body) = response.into_parts();
    let said = to_bytes(body, REJECTION).await.unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let detail = if said.is_empty() { code.title() } else { said.as_ref() };
    let mut answer = Problem::new(code, detail).into_response();
    if let Some(allow) = parts.headers.get(ALLOW) {
        answer.headers_mut().insert(ALLOW, allow.clone());
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refusal_of_axums_becomes_a_problem() {
        let plain = (StatusCode::METHOD_NOT_ALLOWED, [("allow", "GET")], "").into_response();
        let answer = uniform(plain).await;
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()["allow"], "GET");
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let body = to_bytes(answer.into_body(), REJECTION).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["code"], "method-not-allowed");
        assert_eq!(problem["retryable"], false);
        assert!(problem["request"].as_str().is_some_and(|id| id.starts_with("req_")));
    }

    #[test]
    fn a_missing_token_is_asked_for() {
        let answer = Problem::unauthorized().into_response();
        assert_eq!(answer.headers()["www-authenticate"], "Bearer");
        assert_eq!(answer.headers()["cache-control"], "no-store");
    }
}
