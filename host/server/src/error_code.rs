//! The stable error codes: what each means and what to do.
use std::fmt;

use http::StatusCode;

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
    /// What whoever meets the error can do.
    cure: &'static str,
}

/// In the order of the codes, which a test holds.
const TABLE: &[Entry] = &[
    Entry {
        code: ErrorCode::BadRequest,
        text: "bad-request",
        status: StatusCode::BAD_REQUEST,
        title: "The request is malformed",
        retryable: false,
        cure: "Read the detail: it names what could not be understood.",
    },
    Entry {
        code: ErrorCode::BodyIncomplete,
        text: "body-incomplete",
        status: StatusCode::BAD_REQUEST,
        title: "The body ended early",
        retryable: true,
        cure: "Send the request again; the connection broke, or `content-length` is wrong.",
    },
    Entry {
        code: ErrorCode::Unauthorized,
        text: "unauthorized",
        status: StatusCode::UNAUTHORIZED,
        title: "The admin API needs its token",
        retryable: false,
        cure: "Send `authorization: Bearer` with the token of `[admin] token`.",
    },
    Entry {
        code: ErrorCode::NotVerified,
        text: "not-verified",
        status: StatusCode::UNAUTHORIZED,
        title: "The request could not be verified",
        retryable: false,
        cure: "Check that sender and source have the same secret and scheme, that the sender's \
               clock is right, and that nothing on the way changes the body. The log and \
               `hookwright_ingress_refused_total` tell the reason.",
    },
    Entry {
        code: ErrorCode::TlsRequired,
        text: "tls-required",
        status: StatusCode::FORBIDDEN,
        title: "The source takes HTTPS only",
        retryable: false,
        cure: "Post to the `https` URL, or take `require_tls` from the source. A proxy that ends \
               TLS must be among `[ingress] trusted_proxies` and send `x-forwarded-proto`.",
    },
    Entry {
        code: ErrorCode::ClientCertificate,
        text: "client-certificate",
        status: StatusCode::FORBIDDEN,
        title: "The source asks for a client certificate that it knows",
        retryable: false,
        cure: "Send a certificate that an authority of `[ingress] tls.client_ca` signed and that \
               the source's `client` names.",
    },
    Entry {
        code: ErrorCode::AddressRefused,
        text: "address-refused",
        status: StatusCode::FORBIDDEN,
        title: "The address is not allowed to post here",
        retryable: false,
        cure: "Add the sender's network to the source's `allow`, or remove the list. Behind a proxy, name \
               the proxy in `[ingress] trusted_proxies`.",
    },
    Entry {
        code: ErrorCode::Forbidden,
        text: "forbidden",
        status: StatusCode::FORBIDDEN,
        title: "Not allowed",
        retryable: false,
        cure: "Read the detail: it names what is not allowed and the setting that decides.",
    },
    Entry {
        code: ErrorCode::NotLocal,
        text: "not-local",
        status: StatusCode::FORBIDDEN,
        title: "The admin side answers only this machine",
        retryable: false,
        cure: "Ask it as `localhost`, or set `[admin] token` and send it.",
    },
    Entry {
        code: ErrorCode::NotFound,
        text: "not-found",
        status: StatusCode::NOT_FOUND,
        title: "There is nothing here",
        retryable: false,
        cure: "Check the id or the name. Webhooks go to `/in/<source>`; the admin API is under `/api/v1`.",
    },
    Entry {
        code: ErrorCode::UnknownSource,
        text: "unknown-source",
        status: StatusCode::NOT_FOUND,
        title: "There is no such source",
        retryable: false,
        cure: "Check the name in the URL against `[sources.…]` in the settings and, where the source \
               has `tokens`, the token behind it.",
    },
    Entry {
        code: ErrorCode::MethodNotAllowed,
        text: "method-not-allowed",
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "The method is not allowed here",
        retryable: false,
        cure: "Use a method that the `allow` header names.",
    },
    Entry {
        code: ErrorCode::BodyTimeout,
        text: "body-timeout",
        status: StatusCode::REQUEST_TIMEOUT,
        title: "The body did not come in time",
        retryable: true,
        cure: "Send the body faster, or raise `[ingress] body_timeout`.",
    },
    Entry {
        code: ErrorCode::Conflict,
        text: "conflict",
        status: StatusCode::CONFLICT,
        title: "The present state does not allow it",
        retryable: false,
        cure: "Read the detail, look at the present state, and decide again.",
    },
    Entry {
        code: ErrorCode::EventDamaged,
        text: "event-damaged",
        status: StatusCode::GONE,
        title: "The event's record in the journal is damaged or gone",
        retryable: false,
        cure: "It does not heal by itself. The detail names the place; a copy of the bytes is in `damaged/`. \
               Lists still show the event with its deliveries. Restore a backup, or ask its sender for it again.",
    },
    Entry {
        code: ErrorCode::BodyTooLarge,
        text: "body-too-large",
        status: StatusCode::PAYLOAD_TOO_LARGE,
        title: "The body is too large",
        retryable: false,
        cure: "Send a smaller body, or raise `max_body` for the source or the ingress.",
    },
    Entry {
        code: ErrorCode::UriTooLong,
        text: "uri-too-long",
        status: StatusCode::URI_TOO_LONG,
        title: "Path and query are too long",
        retryable: false,
        cure: "Send what is long in the body.",
    },
    Entry {
        code: ErrorCode::UnsupportedEncoding,
        text: "unsupported-encoding",
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        title: "The `content-encoding` is not known here",
        retryable: false,
        cure: "Send the body plain, or as gzip, deflate, br or zstd; or take `decompress` from the source.",
    },
    Entry {
        code: ErrorCode::JsonTooDeep,
        text: "json-too-deep",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The JSON is too deep",
        retryable: false,
        cure: "Send arrays and objects less deep in each other, or raise `[ingress] max_json_depth`.",
    },
    Entry {
        code: ErrorCode::Invalid,
        text: "invalid",
        status: StatusCode::UNPROCESSABLE_ENTITY,
        title: "The request was understood and is wrong",
        retryable: false,
        cure: "Read the detail, and `errors` where there is one: it names the field by a JSON pointer, \
               and what is wrong with it. A source's `validate` decides.",
    },
    Entry {
        code: ErrorCode::AddressRateLimited,
        text: "address-rate-limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests from one address",
        retryable: true,
        cure: "Wait for the seconds of `retry-after`, or raise the source's `rate_per_address`. \
               Behind a proxy, name the proxy in `[ingress] trusted_proxies`.",
    },
    Entry {
        code: ErrorCode::RateLimited,
        text: "rate-limited",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests",
        retryable: true,
        cure: "Wait for the seconds of `retry-after`, or raise the source's `rate`.",
    },
    Entry {
        code: ErrorCode::TooManyRequests,
        text: "too-many-requests",
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too much of one token or address is under way",
        retryable: true,
        cure: "End a request or a stream of the admin side, then try again; one stream can be shared by many readers.",
    },
    Entry {
        code: ErrorCode::HeadTooLarge,
        text: "head-too-large",
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        title: "The head has too many fields or too many bytes",
        retryable: false,
        cure: "Send fewer and shorter header fields, or raise `[ingress] max_headers` or `max_header_bytes`.",
    },
    Entry {
        code: ErrorCode::Internal,
        text: "internal",
        status: StatusCode::INTERNAL_SERVER_ERROR,
        title: "A fault of Hookwright's own",
        retryable: true,
        cure: "Look for the request's id in the log and report it.",
    },
    Entry {
        code: ErrorCode::TooManyConnections,
        text: "too-many-connections",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Too many connections",
        retryable: true,
        cure: "Keep connections alive and reuse them, or raise `max_connections`.",
    },
    Entry {
        code: ErrorCode::MemoryFull,
        text: "memory-full",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Requests on their way in take up all of their memory",
        retryable: true,
        cure: "Try again after `retry-after`. If it lasts, look who sends so much or so slowly, or raise \
               `[ingress] memory`. Each source, and each address at a source, has a fair share: one that \
               floods is refused first.",
    },
    Entry {
        code: ErrorCode::AuditFailed,
        text: "audit-failed",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The audit log can't be written, so nothing was changed",
        retryable: true,
        cure: "Make room on the disk of `data_dir`, or mend its rights, and send it again. The log names the error.",
    },
    Entry {
        code: ErrorCode::KeysUnavailable,
        text: "keys-unavailable",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The keys that the request is signed by can't be fetched",
        retryable: true,
        cure: "Send it again. If it stays so, see that the host reaches the URL of the certificate or of \
               `jwks_url`: the log names it and the error.",
    },
    Entry {
        code: ErrorCode::StoreBusy,
        text: "store-busy",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "More events are waiting to be written than may be",
        retryable: true,
        cure: "Try again after `retry-after`. If it lasts, the disk is too slow for the load. Beyond half of \
               `[store] queue` each source has a fair share: one that floods is refused first.",
    },
    Entry {
        code: ErrorCode::StoreFull,
        text: "store-full",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The disk is full, or nearly",
        retryable: true,
        cure: "Make room on the disk of `data_dir`, or keep events for a shorter time. So much stays free: \
               `[store] reserve`.",
    },
    Entry {
        code: ErrorCode::StoreFailed,
        text: "store-failed",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "The store could not read or write",
        retryable: true,
        cure: "Look for the request's id in the log; check the disk.",
    },
    Entry {
        code: ErrorCode::ShuttingDown,
        text: "shutting-down",
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Hookwright is stopping",
        retryable: true,
        cure: "Try again after `retry-after`.",
    },
    Entry {
        code: ErrorCode::Loop,
        text: "loop",
        status: StatusCode::LOOP_DETECTED,
        title: "The event goes round in a loop",
        retryable: false,
        cure: "It has gone through as many of this host's own deliveries as `[ingress] max_hops` allows. Find the \
               destination that leads back here, or a partner that sends back what it gets, and filter there.",
    },
];

impl ErrorCode {
    /// Every code, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|entry| entry.code)
    }

    /// As the problem and the metrics write it.
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
