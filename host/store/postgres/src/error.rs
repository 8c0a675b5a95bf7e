//! What goes wrong with the database, in one sentence with its place and its cure.
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use hookwright_store::{AppendError, StoreError};

/// SQLSTATE of `hw_fence`: another host has taken the database.
const FENCED: &str = "HW001";

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none that names a database.
    #[error("the store's URL is wrong: {0}: write postgres://user:password@host:5432/database")]
    Url(String),
    /// Nothing answered, or not as a server of PostgreSQL does.
    #[error(
        "the database at {place} can't be reached: {why}: start it, or correct `url` of [store]"
    )]
    Unreachable {
        /// Hosts and ports.
        place: String,
        /// What the system said.
        why: String,
    },
    /// The server does not let this user in, or has no such database.
    #[error(
        "the database at {place} refuses the connection: {why}: correct user, password and database in `url` of [store]"
    )]
    Refused {
        /// Hosts and ports.
        place: String,
        /// What the server said.
        why: String,
    },
    /// The server is older than what the store needs.
    #[error("the database at {place} is PostgreSQL {found}: the store needs 15 or newer")]
    TooOld {
        /// Hosts and ports.
        place: String,
        /// Its version.
        found: String,
    },
    /// The server is a standby, or its transactions are read-only.
    #[error(
        "the database at {place} is a read-only standby: name the primary in `url` of [store], or all servers and `target_session_attrs=read-write`"
    )]
    ReadOnly {
        /// Hosts and ports.
        place: String,
    },
    /// A newer version of the host has changed the tables.
    #[error(
        "the tables in the database at {place} are of version {found}, and this host knows {known}: use the newer version of the host that made them"
    )]
    Newer {
        /// Hosts and ports.
        place: String,
        /// The version of the tables.
        found: i32,
        /// The latest that is known here.
        known: i32,
    },
    /// Another host is at work on the database.
    #[error(
        "the database at {place} is in use by the host `{host}`, whose lease ends in {left_s} s unless it is renewed: stop that host first, or wait for the end where it was killed; one database serves one host today"
    )]
    InUse {
        /// Hosts and ports.
        place: String,
        /// The other host's name.
        host: String,
        /// Seconds, rounded up.
        left_s: i64,
    },
    /// The tables could not be made or read.
    #[error(
        "the store can't be set up in the database at {place}: {why}: the user needs the right to create tables in its schema"
    )]
    SetUp {
        /// Hosts and ports.
        place: String,
        /// What the server said.
        why: String,
    },
}

/// What an error means for who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The connection is gone, or the server ends: whether it was done is not known.
    Lost,
    /// Nothing was done; the same again may succeed: deadlocks, locks, a partition that is missing.
    Again,
    /// A partition of a day is missing.
    Partition,
    /// Another host has the database.
    Fenced,
    /// No space is left there.
    Full,
    /// The statement is refused for what it holds.
    Refused,
}

pub(crate) fn kind(error: &Error) -> Kind {
    let Some(code) = error.code() else {
        // The driver's own: a value that does not fit its column is no lost connection.
        let text = error.to_string();
        let ours = ["error serializing", "error deserializing", "invalid column"];
        return match ours.iter().any(|start| text.starts_with(start)) {
            true => Kind::Refused,
            false => Kind::Lost,
        };
    };
    let text = code.code();
    match text {
        FENCED => Kind::Fenced,
        _ if *code == SqlState::CHECK_VIOLATION => Kind::Partition,
        _ if *code == SqlState::DISK_FULL => Kind::Full,
        // Broken connections, a server that stops or starts, one that has become a standby.
        _ if text.starts_with("08") || text.starts_with("57P") || text == "25006" => Kind::Lost,
        _ if text.starts_with("53") => Kind::Lost,
        // Conflicts and time-outs; a relation that a purge replaced under the statement.
        _ if text.starts_with("40") || text.starts_with("55") || text.starts_with("57") => {
            Kind::Again
        }
        _ if *code == SqlState::UNDEFINED_TABLE || text == "XX000" => Kind::Again,
        _ => Kind::Refused,
    }
}

/// The whole chain in one line.
pub(crate) fn text(error: &Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut out = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !out.contains(&cause_text) {
            out.push_str(": ");
            out.push_str(&cause_text);
        }
        source = cause.source();
    }
    out
}

/// Why the first connection failed: what a server said is another cure than that none answered.
pub(crate) fn refused(place: &str, error: &Error) -> OpenError {
    let (place, why) = (place.to_owned(), text(error));
    // The client says it itself where the server asks for a password and the URL has none.
    match error.as_db_error().is_some() || why.contains("password missing") {
        true => OpenError::Refused { place, why },
        false => OpenError::Unreachable { place, why },
    }
}

/// What a caller of the store is told.
pub(crate) fn failed(error: &Error) -> StoreError {
    match kind(error) {
        Kind::Full => StoreError::Full,
        Kind::Fenced => StoreError::Failed(FENCED_TEXT.into()),
        _ => StoreError::Failed(format!("the database: {}", text(error)).into()),
    }
}

/// Where a row could not be read.
pub(crate) fn damaged(_: super::codec::Unreadable) -> StoreError {
    StoreError::Damaged("a row of the database holds what this version can't read".into())
}

pub(crate) fn append_failed(error: &StoreError) -> AppendError {
    match error {
        StoreError::Closed => AppendError::Closed,
        StoreError::Full => AppendError::Full,
        other => AppendError::Failed(other.to_string().into()),
    }
}

/// Why a host that was fenced can't continue.
pub(crate) const FENCED_TEXT: &str =
    "another host has taken the database over: this one must not write any more";
