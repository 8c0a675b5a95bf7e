//! The stable error codes: what each means and what to do.
mod table;

use std::fmt;

use http::StatusCode;

use table::TABLE;

/// The `code` of a problem. Texts never change once released.
#[allow(missing_docs, reason = "each code's entry in the table says what it means and what to do")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    BadRequest,
    BodyIncomplete,
    Unauthorized,
    NotVerified,
    TlsRequired,
    ClientCertificate,
    AddressRefused,
    Forbidden,
    NotLocal,
    NotFound,
    UnknownSource,
    MethodNotAllowed,
    BodyTimeout,
    Conflict,
    EventDamaged,
    BodyTooLarge,
    UriTooLong,
    UnsupportedEncoding,
    JsonTooDeep,
    Invalid,
    AddressRateLimited,
    RateLimited,
    TooManyRequests,
    HeadTooLarge,
    Internal,
    TooManyConnections,
    MemoryFull,
    AuditFailed,
    KeysUnavailable,
    StoreBusy,
    StoreFull,
    StoreFailed,
    ShuttingDown,
    Loop,
}

struct Entry {
    code: ErrorCode,
    text: &'static str,
    status: StatusCode,
    title: &'static str,
    /// Whether the same request may succeed later without a change.
    retryable: bool,
    /// What a client or operator can do about the error.
    cure: &'static str,
}

impl ErrorCode {
    /// Every code, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.code)
    }

    /// The text in problems and metrics.
    pub fn as_str(self) -> &'static str {
        self.entry().text
    }

    /// The HTTP status of answers with the code.
    pub fn status(self) -> StatusCode {
        self.entry().status
    }

    /// One line, the same for every problem with the code.
    pub fn title(self) -> &'static str {
        self.entry().title
    }

    /// Whether the same request may succeed later without a change.
    pub fn retryable(self) -> bool {
        self.entry().retryable
    }

    fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `docs/errors.md`, made from the table.
pub fn reference() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Every error over HTTP is `application/problem+json` (RFC 9457): `status`, a stable `code`, \
         `type` (the code as a name, `urn:hookwright:error:CODE`), `title`, `detail`, `retryable` \
         (whether the same request may succeed later) and `request`, the id to look for in the log; \
         the header `x-request-id` repeats it.\n",
    );
    for entry in TABLE {
        let retry = if entry.retryable { "yes" } else { "no" };
        let (status, Entry { text, title, cure, .. }) = (entry.status.as_u16(), entry);
        let facts = format!("Status {status}; worth a retry: {retry}.");
        page.push_str(&format!("\n## {text}\n\n{title}. {facts}\n\n{cure}\n"));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_codes() {
        for (index, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.code as usize, index, "{}", entry.text);
        }
    }

    #[test]
    fn every_code_is_in_the_reference_once() {
        let page = reference();
        for code in ErrorCode::all() {
            assert_eq!(page.matches(&format!("\n## {code}\n")).count(), 1, "{code}");
        }
    }
}
