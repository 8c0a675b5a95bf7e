//! Why a request is refused, and how it is told: the one place where ingress errors become HTTP.
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;

use super::decode::DecodeError;
use hookwright_model::Invalid;
use hookwright_server::{BodyError, ErrorCode, Problem, RequestId};
use hookwright_signing::Refusal;
use hookwright_signing::hops::Loop;
use hookwright_store::AppendError;

/// Seconds after which keys may be had that could not be fetched.
const KEYS_WAIT_S: u64 = 30;

/// Why a request is refused. `Display` is for the operator's log.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("the path is not /in/<source>")]
    NotFound,
    #[error("the path ends in a slash, and /in/<source> does not")]
    Slash,
    #[error("no source has this name, or its `tokens` are others")]
    UnknownSource,
    #[error("the method is none of the source's `methods`")]
    Method { allowed: HeaderValue },
    #[error("the request came over plain HTTP, and the source has `require_tls`")]
    NotEncrypted,
    #[error("there is no client certificate that the source's `client` knows")]
    ClientCertificate,
    #[error("the address is not in the source's `allow`")]
    Address,
    #[error("the address's share, the source's `rate_per_address`, is used up")]
    AddressRate { wait: Duration },
    #[error("the source's `rate` is used up")]
    Rate { wait: Duration },
    #[error("{error}")]
    Body { error: BodyError, max: usize },
    #[error("{refusal}")]
    NotVerified { refusal: Refusal, challenge: HeaderValue },
    #[error("the certificate or key set that it is signed by could not be fetched")]
    NoKeys,
    #[error("the provider's URL that confirms the subscription could not be fetched: {0}")]
    NotConfirmed(String),
    #[error("{error}")]
    Encoding { error: DecodeError, max: usize },
    #[error("the JSON is deeper than `max_json_depth`, {max}")]
    TooDeep { max: usize },
    #[error("{0}")]
    Invalid(Invalid),
    #[error("{0}")]
    Loop(Loop),
    #[error("the queue before the store is more than half full, and the source has had its share")]
    Share,
    #[error("{0}")]
    Store(AppendError),
}

/// Every reason that a request with a known source can be refused for, for the metrics.
pub(super) fn reasons() -> impl Iterator<Item = &'static str> {
    use ErrorCode as Code;
    let codes = [
        Code::MethodNotAllowed,
        Code::TlsRequired,
        Code::ClientCertificate,
        Code::AddressRefused,
        Code::AddressRateLimited,
        Code::RateLimited,
        Code::BodyTooLarge,
        Code::BodyTimeout,
        Code::BodyIncomplete,
        Code::UriTooLong,
        Code::HeadTooLarge,
        Code::MemoryFull,
        Code::BadRequest,
        Code::UnsupportedEncoding,
        Code::JsonTooDeep,
        Code::Invalid,
        Code::KeysUnavailable,
        Code::StoreBusy,
        Code::StoreFull,
        Code::StoreFailed,
        Code::ShuttingDown,
        Code::Loop,
    ];
    let codes = codes.into_iter().map(ErrorCode::as_str);
    codes.chain(Refusal::ALL.into_iter().map(Refusal::as_str))
}

/// The same for a request whose path names no source that there is.
pub(super) fn unmatched_reasons() -> impl Iterator<Item = &'static str> {
    use ErrorCode as Code;
    let unread = [Code::BadRequest, Code::UriTooLong, Code::HeadTooLarge, Code::MemoryFull];
    [Code::NotFound, Code::UnknownSource].into_iter().chain(unread).map(ErrorCode::as_str)
}

impl Refused {
    /// The metric's label: the error's code, or the finer reason that only the operator may know.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::NotVerified { refusal, .. } => refusal.as_str(),
            other => other.code().as_str(),
        }
    }

    /// Whether it was the source's own request: it was verified before it was refused.
    pub(super) fn is_verified(&self) -> bool {
        matches!(
            self,
            Self::Encoding { .. }
                | Self::TooDeep { .. }
                | Self::Invalid(_)
                | Self::Loop(_)
                | Self::Share
                | Self::Store(_)
        )
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound | Self::Slash => ErrorCode::NotFound,
            Self::UnknownSource => ErrorCode::UnknownSource,
            Self::Method { .. } => ErrorCode::MethodNotAllowed,
            Self::NotEncrypted => ErrorCode::TlsRequired,
            Self::ClientCertificate => ErrorCode::ClientCertificate,
            Self::Address => ErrorCode::AddressRefused,
            Self::AddressRate { .. } => ErrorCode::AddressRateLimited,
            Self::Rate { .. } => ErrorCode::RateLimited,
            Self::Body { error: BodyError::TooLarge, .. } => ErrorCode::BodyTooLarge,
            Self::Body { error: BodyError::Timeout, .. } => ErrorCode::BodyTimeout,
            Self::Body { error: BodyError::Incomplete, .. } => ErrorCode::BodyIncomplete,
            Self::Body { error: BodyError::Trailers, .. } => ErrorCode::HeadTooLarge,
            Self::Body { error: BodyError::Memory, .. }
            | Self::Encoding { error: DecodeError::Memory, .. } => ErrorCode::MemoryFull,
            Self::NotVerified { .. } => ErrorCode::NotVerified,
            Self::NoKeys | Self::NotConfirmed(_) => ErrorCode::KeysUnavailable,
            Self::Encoding { error: DecodeError::Unsupported, .. } => {
                ErrorCode::UnsupportedEncoding
            }
            Self::Encoding { error: DecodeError::Broken, .. } => ErrorCode::BadRequest,
            Self::Encoding { .. } => ErrorCode::BodyTooLarge,
            Self::TooDeep { .. } => ErrorCode::JsonTooDeep,
            Self::Invalid(_) => ErrorCode::Invalid,
            Self::Loop(_) => ErrorCode::Loop,
            Self::Share | Self::Store(AppendError::Busy) => ErrorCode::StoreBusy,
            Self::Store(AppendError::Full) => ErrorCode::StoreFull,
            Self::Store(AppendError::Failed(_)) => ErrorCode::StoreFailed,
            Self::Store(AppendError::Closed) => ErrorCode::ShuttingDown,
            Self::Store(AppendError::TooLarge) => ErrorCode::BodyTooLarge,
        }
    }

    /// What whoever asked is told. It says nothing that helps to forge a request.
    fn problem(&self) -> Problem {
        let say = |detail: &'static str| Problem::new(self.code(), detail);
        match self {
            Self::NotFound => say("webhooks are posted to /in/<source>"),
            Self::Slash => {
                say("webhooks are posted to /in/<source>, without a slash at the end of the path")
            }
            Self::UnknownSource => say("no source has this name; check the URL"),
            Self::Method { allowed } => {
                let allowed = allowed.to_str().unwrap_or_default();
                Problem::new(self.code(), format!("webhooks are sent here with {allowed}"))
            }
            Self::Address => say("this source takes webhooks from certain addresses only"),
            Self::NotEncrypted => say("this source takes webhooks over HTTPS only"),
            Self::ClientCertificate => {
                say("this source asks for a client certificate that it knows")
            }
            Self::AddressRate { wait } => say("this address sends too fast; wait, then send again")
                .retry_after(seconds(*wait)),
            Self::Rate { wait } => {
                say("this source sends too fast; wait, then send again").retry_after(seconds(*wait))
            }
            Self::Body { error: BodyError::TooLarge, max } => {
                Problem::new(self.code(), format!("the body may have at most {max} bytes"))
            }
            Self::Body { error: BodyError::Timeout, .. } => {
                say("the body took too long; send it again, faster")
            }
            Self::Body { error: BodyError::Incomplete, .. } => {
                say("the body ended before its announced length; send it again")
            }
            Self::Body { error: error @ BodyError::Trailers, .. } => {
                Problem::new(self.code(), error.to_string())
            }
            Self::Body { error: BodyError::Memory, .. }
            | Self::Encoding { error: DecodeError::Memory, .. } => {
                say("requests on their way in take up all of their memory; send it again")
                    .retry_after(1)
            }
            Self::NotVerified { .. } => {
                say("the request could not be verified; check secret, scheme and clock")
            }
            Self::NoKeys | Self::NotConfirmed(_) => {
                say("the sender's keys can't be had now; send it again").retry_after(KEYS_WAIT_S)
            }
            Self::Encoding { error: DecodeError::TooLarge, max } => {
                Problem::new(self.code(), format!("the plain body may have at most {max} bytes"))
            }
            Self::Encoding { error, .. } => Problem::new(self.code(), error.to_string()),
            Self::TooDeep { max } => {
                Problem::new(self.code(), format!("the JSON may be {max} levels deep"))
            }
            Self::Invalid(invalid) => {
                say("the event is not as this source's must be; see `errors`").errors(&invalid.0)
            }
            Self::Loop(Loop(times)) => Problem::new(
                self.code(),
                format!("the event has gone through {times} of this host's own deliveries"),
            ),
            Self::Share => store(self.code(), &AppendError::Busy),
            Self::Store(error) => store(self.code(), error),
        }
    }

    /// The answer and its request id; also the one log line that a refusal makes, with what it
    /// says of itself.
    pub(super) fn respond(
        &self,
        source: &str,
        client: IpAddr,
        cause: &str,
    ) -> (Response<Full<Bytes>>, RequestId) {
        let problem = self.problem();
        tracing::info!(
            source,
            %client,
            request = %problem.request(),
            reason = self.reason(),
            cause,
            "refused"
        );
        let mut response = problem.response();
        let headers = response.headers_mut();
        match self {
            Self::Method { allowed } => {
                headers.insert(header::ALLOW, allowed.clone());
            }
            Self::NotVerified { challenge, .. } => {
                headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
            }
            _ => {}
        }
        (response, problem.request())
    }
}

fn store(code: ErrorCode, error: &AppendError) -> Problem {
    let (detail, wait_s) = match error {
        AppendError::Busy => ("more events are waiting than may be; send it again", 1),
        AppendError::Full => ("the disk is full; the operator must make room", 30),
        AppendError::Failed(_) => ("the event could not be written down; send it again", 10),
        AppendError::Closed => ("Hookwright is stopping; send it again", 5),
        AppendError::TooLarge => {
            return Problem::new(code, "the event is larger than can be written down");
        }
    };
    Problem::new(code, detail).retry_after(wait_s)
}

/// Whole seconds, rounded up: sooner would be refused again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
