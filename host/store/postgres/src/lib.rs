//! The store on PostgreSQL 15 or newer: connections, tables, and whose the database is.
//!
//! So far this is the ground that the engine is to stand on, and nothing uses it: [`Database::open`] connects, makes or
//! checks the tables, and takes the database for one host, whose epoch every write will have to check (`hw_fence`).
#![deny(missing_docs)]
mod connection;
mod error;
mod lease;
mod schema;
mod url;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use connection::{Connector, Link};

pub use error::OpenError;
pub use url::check;

/// How a database is opened.
#[derive(Clone)]
pub struct Options {
    /// `postgres://user:password@host:5432/database`; several hosts are separated by commas.
    pub url: String,
    /// The host's name, for people; it must be that of one host only.
    pub node: String,
    /// What tells this host's data directory from all others. Who has the same is the same host, started again.
    pub instance: [u8; 16],
    /// Which certificates are trusted, where the server offers TLS or the URL asks for it.
    pub tls: Arc<rustls::ClientConfig>,
}

impl std::fmt::Debug for Options {
    // The URL holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("node", &self.node).finish_non_exhaustive()
    }
}

/// A database that is this host's own until it is closed, or another one takes it.
pub struct Database {
    connector: Arc<Connector>,
    control: Link,
    taken: lease::Taken,
    routed_to: AtomicI64,
}

impl Database {
    /// Connects, makes the tables or brings them to this version, and takes the lease. Needs a tokio runtime.
    ///
    /// # Errors
    /// Each in one sentence with its place and its cure; see [`OpenError`].
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        let target = url::parse(&options.url)?;
        let connector = Arc::new(Connector::new(target, options.tls));
        let control = Link::new(Arc::clone(&connector));
        let connection = control.get().await;
        let connection = connection.map_err(|error| error::refused(connector.place(), &error))?;
        schema::ready(&connector, &connection).await?;
        let host = (options.node.as_str(), &options.instance[..]);
        let taken = lease::take(&connector, &connection, host).await?;
        let routed_to = AtomicI64::new(taken.routed_to);
        Ok(Self { connector, control, taken, routed_to })
    }

    /// The epoch of this host, as its rows say it and `hw_fence` checks it.
    pub fn epoch(&self) -> i32 {
        self.taken.epoch
    }

    /// The node in the ids of the events that were accepted in the epoch; none where there was no such epoch.
    pub fn node(&self, epoch: i32) -> Option<u64> {
        let mut numbers = self.taken.numbers.iter();
        numbers.find(|(known, _)| *known == epoch).map(|(_, number)| *number)
    }

    /// The largest row key of any event when the database was taken.
    pub fn last_row(&self) -> i64 {
        self.taken.last_row
    }

    /// Remembers, with the next renewal, that every event up to this row key has an outcome.
    pub fn routed_to(&self, row: i64) {
        self.routed_to.fetch_max(row, Ordering::Relaxed);
    }

    /// Renews the lease for ten seconds from now on, by the database's clock; to be called every [`RENEW`].
    /// False once another host has the database: this one must not write any more.
    ///
    /// # Errors
    /// Why the database can't be had; the lease may have run out by then, and still be this host's.
    pub async fn renew(&self) -> Result<bool, String> {
        let routed_to = self.routed_to.load(Ordering::Relaxed);
        let renewed = lease::renew(&self.control, self.epoch(), routed_to).await;
        renewed.map_err(|error| error::text(&error))
    }

    /// Whether the last attempt to connect succeeded. Costs no connection.
    pub fn is_reachable(&self) -> bool {
        self.connector.is_reachable()
    }

    /// Gives the lease back, so that another host need not wait for its end.
    ///
    /// # Errors
    /// Why the database can't be had: the lease ends by itself then.
    pub async fn close(self) -> Result<(), String> {
        let released = lease::release(&self.control, self.epoch()).await;
        released.map_err(|error| error::text(&error))
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("place", &self.connector.place()).finish_non_exhaustive()
    }
}

pub use lease::RENEW;
