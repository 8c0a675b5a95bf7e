//! Why a plugin could not decide.
use std::fmt;

/// What a plugin's function answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a plugin could not decide. Any error of the standard kind turns into
/// [`Error::other`] by `?`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// What the host does about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The host tries again later, a bounded number of times.
    Retry,
    /// The event goes to the dead letters with this reason.
    Reject,
    /// The plugin's `on_failure` setting decides.
    Other,
}

impl Error {
    /// A passing fault: the host tries again later, a bounded number of times.
    pub fn retry(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Retry, message)
    }

    /// The event is at fault: it goes to the dead letters with this reason.
    pub fn reject(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Reject, message)
    }

    /// Anything else: the plugin's `on_failure` setting decides.
    pub fn other(message: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    fn new(kind: ErrorKind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string() }
    }

    /// What the host will do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The reason, as people will read it beside the event.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            message.push_str(": ");
            message.push_str(&inner.to_string());
            cause = inner.source();
        }
        Self { kind: ErrorKind::Other, message }
    }
}

/// Ends the function with [`Error::other`] and the formatted text.
#[macro_export]
macro_rules! bail {
    ($($text:tt)+) => {
        return ::core::result::Result::Err($crate::Error::other(::std::format!($($text)+)))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Result<u8> {
        if text.is_empty() {
            bail!("no {}", "number");
        }
        Ok(text.parse::<u8>()?)
    }

    #[test]
    fn standard_errors_and_bail_are_other() {
        assert_eq!(number("7"), Ok(7));
        assert_eq!(number(""), Err(Error::other("no number")));
        assert_eq!(number("x").unwrap_err().kind(), ErrorKind::Other);
    }
}
