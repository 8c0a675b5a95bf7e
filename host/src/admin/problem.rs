//! The admin side's one way from an error to an answer: `application/problem+json`.
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::store::StoreError;

#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    pub(super) fn unauthorized() -> Self {
        let detail = "send `authorization: Bearer TOKEN` with the token of `admin.token`";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    pub(super) fn forbidden() -> Self {
        let detail = "without `admin.token` only requests to localhost, from pages of localhost, \
                      are answered; set `admin.token`";
        Self::new(StatusCode::FORBIDDEN, "not-local", detail)
    }

    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", what)
    }

    pub(super) fn invalid(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", what)
    }

    pub(super) fn conflict(why: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "refused", why)
    }

    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store refused a request of the admin side");
        let code = match error {
            StoreError::Full => "disk-full",
            StoreError::Closed => "stopping",
            StoreError::Failed(_) => "store-failed",
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let kind = [("content-type", "application/problem+json")];
        (self.status, kind, body.to_string()).into_response()
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::missing("no such page; the API is under /api/v1")
}
