//! What goes wrong with the database, in one sentence with its place and its cure.
use tokio_postgres::Error;

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
