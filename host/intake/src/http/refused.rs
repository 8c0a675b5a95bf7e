//! Why a request is refused, and how its client is told: the one place where refusals become HTTP.
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use http_body_util::Full;

use crate::{Class, DecodeError, Refusal};
use hookwright_server::{BodyError, ErrorCode, Problem, RequestId};
use hookwright_signing::Refusal as Unverified;
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
    #[error("{error}")]
    Body { error: BodyError, max: usize },
    #[error("{refusal}")]
    NotVerified { refusal: Unverified, challenge: HeaderValue },
    #[error("the certificate or key set that it is signed by could not be fetched")]
    NoKeys,
    #[error("the provider's URL that confirms the subscription could not be fetched: {0}")]
    NotConfirmed(String),
    /// The intake refused the event, whatever protocol it came by.
    #[error(transparent)]
    Event(#[from] Refusal),
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
    codes.chain(Unverified::ALL.into_iter().map(Unverified::as_str))
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
        // The rate is looked at before, too.
        matches!(self, Self::Event(refusal) if !matches!(refusal, Refusal::Rate { .. }))
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
            Self::Body { error: BodyError::TooLarge, .. } => ErrorCode::BodyTooLarge,
            Self::Body { error: BodyError::Timeout, .. } => ErrorCode::BodyTimeout,
            Self::Body { error: BodyError::Incomplete, .. } => ErrorCode::BodyIncomplete,
            Self::Body { error: BodyError::Trailers, .. } => ErrorCode::HeadTooLarge,
            Self::Body { error: BodyError::Memory, .. } => ErrorCode::MemoryFull,
            Self::NotVerified { .. } => ErrorCode::NotVerified,
            Self::NoKeys | Self::NotConfirmed(_) => ErrorCode::KeysUnavailable,
            Self::Event(refusal) => event_code(refusal),
        }
    }

    /// What the client is told. It says nothing that helps to forge a request.
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
            Self::Body { error: BodyError::TooLarge, max } => too_large(self.code(), *max),
            Self::Body { error: BodyError::Timeout, .. } => {
                say("the body took too long; send it again, faster")
            }
            Self::Body { error: BodyError::Incomplete, .. } => {
                say("the body ended before its announced length; send it again")
            }
            Self::Body { error: error @ BodyError::Trailers, .. } => {
                Problem::new(self.code(), error.to_string())
            }
            Self::Body { error: BodyError::Memory, .. } => event_problem(&Refusal::Memory),
            Self::NotVerified { .. } => {
                say("the request could not be verified; check secret, scheme and clock")
            }
            Self::NoKeys | Self::NotConfirmed(_) => {
                say("the sender's keys can't be had now; send it again").retry_after(KEYS_WAIT_S)
            }
            Self::Event(refusal) => event_problem(refusal),
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

fn event_code(refusal: &Refusal) -> ErrorCode {
    match refusal {
        Refusal::Rate { .. } => ErrorCode::RateLimited,
        Refusal::TooLarge { .. } | Refusal::Store(AppendError::TooLarge) => ErrorCode::BodyTooLarge,
        Refusal::Memory => ErrorCode::MemoryFull,
        Refusal::Loop(_) => ErrorCode::Loop,
        Refusal::Encoding { error, .. } => match error {
            DecodeError::Unsupported => ErrorCode::UnsupportedEncoding,
            DecodeError::Broken => ErrorCode::BadRequest,
            DecodeError::Memory => ErrorCode::MemoryFull,
            DecodeError::TooLarge | DecodeError::Hollow | DecodeError::Bomb => {
                ErrorCode::BodyTooLarge
            }
        },
        Refusal::TooDeep { .. } => ErrorCode::JsonTooDeep,
        Refusal::Invalid(_) => ErrorCode::Invalid,
        Refusal::Share | Refusal::Store(AppendError::Busy) => ErrorCode::StoreBusy,
        Refusal::Store(AppendError::Full) => ErrorCode::StoreFull,
        Refusal::Store(AppendError::Failed(_)) => ErrorCode::StoreFailed,
        Refusal::Store(AppendError::Closed) => ErrorCode::ShuttingDown,
    }
}

/// What the client is told of the intake's own refusals; when to send again follows from their class.
fn event_problem(refusal: &Refusal) -> Problem {
    let code = event_code(refusal);
    let say = |detail: &'static str| Problem::new(code, detail);
    let problem = match refusal {
        Refusal::Rate { .. } => say("this source sends too fast; wait, then send again"),
        Refusal::TooLarge { max } => too_large(code, *max),
        Refusal::Memory | Refusal::Encoding { error: DecodeError::Memory, .. } => {
            say("requests on their way in take up all of their memory; send it again")
        }
        Refusal::Loop(Loop(times)) => Problem::new(
            code,
            format!("the event has gone through {times} of this host's own deliveries"),
        ),
        Refusal::Encoding { error: DecodeError::TooLarge, max } => {
            Problem::new(code, format!("the plain body may have at most {max} bytes"))
        }
        Refusal::Encoding { error, .. } => Problem::new(code, error.to_string()),
        Refusal::TooDeep { max } => {
            Problem::new(code, format!("the JSON may be {max} levels deep"))
        }
        Refusal::Invalid(invalid) => {
            say("the event is not as this source's must be; see `errors`").errors(&invalid.0)
        }
        Refusal::Share | Refusal::Store(AppendError::Busy) => {
            say("more events are waiting than may be; send it again")
        }
        Refusal::Store(AppendError::Full) => say("the disk is full; the operator must make room"),
        Refusal::Store(AppendError::Failed(_)) => {
            say("the event could not be written down; send it again")
        }
        Refusal::Store(AppendError::Closed) => say("Hookwright is stopping; send it again"),
        Refusal::Store(AppendError::TooLarge) => {
            say("the event is larger than can be written down")
        }
    };
    match refusal.class() {
        Class::Throttled(wait) | Class::Busy(wait) => problem.retry_after(seconds(wait)),
        Class::Invalid | Class::TooLarge => problem,
    }
}

fn too_large(code: ErrorCode, max: usize) -> Problem {
    Problem::new(code, format!("the body may have at most {max} bytes"))
}

/// Whole seconds, rounded up: sooner would be refused again.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}
