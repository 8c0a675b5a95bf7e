//! The limits on a request's head, the same for HTTP/1.1 and HTTP/2, and the description of a request that exceeds them.
use http::HeaderMap;
use http::request::Parts;

use super::{ErrorCode, Options, Problem, RequestId};

/// Bytes of a request's target. RFC 9110 asks for 8,000 at least.
const TARGET: usize = 16 * 1024;
/// Bytes of an unparsable head that are examined.
pub(super) const START: usize = 160;

/// A request that the server itself refused: its head could not be parsed, exceeded
/// a limit, or the memory budget was used up. The service never sees it.
#[derive(Debug, Clone)]
pub struct Unread {
    /// Why it was refused.
    pub code: ErrorCode,
    /// The request's id in the response.
    pub request: RequestId,
    /// Empty where it could not be read.
    pub method: String,
    /// Path and query as they came; empty where they could not be read.
    pub target: String,
    /// The header fields that could be parsed.
    pub headers: HeaderMap,
}

impl Unread {
    /// From the first bytes of a head that could not be read.
    pub(super) fn from_start(code: ErrorCode, request: RequestId, start: &[u8]) -> Self {
        let line = start.split(|byte| matches!(byte, b'\r' | b'\n')).next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        // Bytes that are not HTTP have neither.
        let (method, rest) = line.split_once(' ').unwrap_or_default();
        let good = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
        let (method, rest) = if good { (method, rest) } else { ("", "") };
        let target = rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target);
        Self {
            code,
            request,
            method: method.to_owned(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
        }
    }

    pub(super) fn from_head(code: ErrorCode, request: RequestId, head: &Parts) -> Self {
        let target = head.uri.path_and_query().map_or("", |target| target.as_str());
        Self {
            code,
            request,
            method: head.method.to_string(),
            target: target.to_owned(),
            headers: head.headers.clone(),
        }
    }

    /// The path alone.
    pub fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    /// What went wrong, for the operator.
    pub fn cause(&self) -> &'static str {
        match self.code {
            ErrorCode::UriTooLong => "the request's target is too long",
            ErrorCode::HeadTooLarge => "the request's head has too many fields or too many bytes",
            ErrorCode::MemoryFull => "there was no memory left for the request's head",
            ErrorCode::TooManyConnections => "all connections are in use, this one is for monitors",
            _ => "the request's head can't be read as HTTP",
        }
    }
}

/// Bytes of a head, as HTTP/1.1 would write it.
pub(super) fn bytes(head: &Parts) -> usize {
    let path = head.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let authority = head.uri.authority().map_or(0, |authority| authority.as_str().len());
    let line = head.method.as_str().len() + path + authority + " HTTP/1.1\r\n\r\n".len();
    line + fields_bytes(&head.headers)
}

/// Bytes of a list of fields.
fn fields_bytes(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// What a head, and trailers, may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    fields: usize,
    bytes: usize,
}

impl Limits {
    pub(super) const NONE: Self = Self { fields: usize::MAX, bytes: usize::MAX };

    pub(super) fn of(options: &Options) -> Self {
        Self { fields: options.limits.max_headers, bytes: options.limits.max_header_bytes }
    }

    /// The limit that a head of that many bytes exceeds.
    pub(super) fn over(self, head: &Parts, bytes: usize) -> Option<ErrorCode> {
        let target = head.uri.path_and_query().map_or(0, |target| target.as_str().len());
        if target > TARGET {
            return Some(ErrorCode::UriTooLong);
        }
        let large = head.headers.len() > self.fields || bytes > self.bytes;
        large.then_some(ErrorCode::HeadTooLarge)
    }

    pub(super) fn hold(self, trailers: &HeaderMap) -> bool {
        trailers.len() <= self.fields && fields_bytes(trailers) <= self.bytes
    }

    /// The message for the client.
    pub(super) fn problem(self, code: ErrorCode) -> Problem {
        let Self { fields, bytes } = self;
        let detail = match code {
            ErrorCode::UriTooLong => format!("path and query may have at most {TARGET} bytes"),
            ErrorCode::HeadTooLarge => {
                format!("a head may have at most {fields} fields and {bytes} bytes, trailers too")
            }
            ErrorCode::MemoryFull => {
                let detail = "requests on their way in take up all of their memory; send it again";
                return Problem::new(code, detail).retry_after(1);
            }
            ErrorCode::TooManyConnections => {
                let detail = "all connections are in use; wait a second, then try again";
                return Problem::new(code, detail).retry_after(1);
            }
            ErrorCode::BodyTimeout => "the body took too long; send it again, faster".to_owned(),
            _ => "the request line or a header can't be read; in a URL, all but visible ASCII is \
                  escaped, and so are quotes and `<>`"
                .to_owned(),
        };
        Problem::new(code, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(start: &str) -> (String, String) {
        let code = ErrorCode::BadRequest;
        let unread = Unread::from_start(code, RequestId::random(), start.as_bytes());
        (unread.method.clone(), unread.path().to_owned())
    }

    #[test]
    fn a_head_that_cannot_be_read_tells_method_and_path_where_there_are_any() {
        for (start, method, path) in [
            ("POST /in/s?a=\"x\" HTTP/1.1\r\nhost: h\r\n", "POST", "/in/s"),
            ("GET /in/with space HTTP/1.1\r\n", "GET", "/in/with space"),
            ("GET /in/long-without-an-end", "GET", "/in/long-without-an-end"),
            ("\u{16}\u{3}\u{1} x", "", ""),
            ("GET", "", ""),
            ("", "", ""),
        ] {
            assert_eq!(read(start), (method.to_owned(), path.to_owned()), "{start:?}");
        }
    }
}
