//! Whose the database is: a host's lease and epoch, taken at the start, renewed, and given back at the close.
//!
//! The epoch is what protects: every transaction that writes checks it behind a lock that who takes over holds alone.
//! The lease only says when a host that is silent may be taken for dead.
use std::time::Duration;

use tokio_postgres::Error;

use super::connection::{Connection, Connector, Link};
use super::error::{self, OpenError};
use hookwright_model::clock::random_u64;

/// From one renewal to the next.
pub(crate) const RENEW: Duration = Duration::from_secs(2);

const LOCK: &str = "BEGIN; SET LOCAL lock_timeout = '10s'; \
    SELECT pg_advisory_xact_lock(1213682514, hashtext(current_schema()))";
const OTHER: &str = "SELECT name, ceil(extract(epoch FROM lease_until - clock_timestamp()))::bigint FROM host \
    WHERE lease_until > clock_timestamp() AND instance <> $1 LIMIT 1";
const BEGIN_EPOCH: &str = "INSERT INTO epoch(number, host) VALUES($1, $2) RETURNING epoch";
const ADOPT: &str = "SELECT coalesce(min(routed_to), 0) FROM host";
const FORGET: &str = "DELETE FROM host";
const TAKE: &str = "INSERT INTO host(name, instance, epoch, lease_until, version, routed_to) \
    VALUES($1, $2, $3, clock_timestamp() + interval '10 seconds', $4, $5)";
const RENEWED: &str = "UPDATE host SET lease_until = clock_timestamp() + interval '10 seconds', \
    routed_to = greatest(routed_to, $2) WHERE epoch = $1";
const RELEASE: &str = "UPDATE host SET lease_until = clock_timestamp() WHERE epoch = $1";
const EPOCHS: &str = "SELECT epoch, number FROM epoch";
const LAST: &str = "SELECT id, epoch FROM event ORDER BY id DESC, epoch DESC LIMIT 1";

/// What a host has once the database is its own.
pub(crate) struct Taken {
    /// The epoch, as the rows say it.
    pub(crate) epoch: i32,
    /// The node in the ids of each epoch's events.
    pub(crate) numbers: Vec<(i32, u64)>,
    /// The last row key that was given out.
    pub(crate) last_row: i64,
    /// The epoch of that event.
    pub(crate) last_epoch: i32,
    /// Every event up to here has an outcome.
    pub(crate) routed_to: i64,
}

/// Takes the database, where no other host is at work on it.
pub(crate) async fn take(
    connector: &Connector,
    connection: &Connection,
    (name, instance): (&str, &[u8]),
) -> Result<Taken, OpenError> {
    let place = || connector.place().to_owned();
    let failed = |error: Error| OpenError::SetUp { place: place(), why: error::text(&error) };
    // Alone: all that was written under the epoch before is committed or will never be.
    connection.run(LOCK).await.map_err(failed)?;
    let taken = within(connection, name, instance).await;
    let end = if matches!(taken, Ok(Ok(_))) { "COMMIT" } else { "ROLLBACK" };
    connection.run(end).await.map_err(failed)?;
    taken.map_err(failed)?.map_err(|(host, left_s)| OpenError::InUse {
        place: place(),
        host,
        left_s,
    })
}

async fn within(
    connection: &Connection,
    name: &str,
    instance: &[u8],
) -> Result<Result<Taken, (String, i64)>, Error> {
    if let Some(other) = connection.query(OTHER, &[&instance]).await?.first() {
        return Ok(Err((other.get(0), other.get(1))));
    }
    let number = random_u64().cast_signed();
    let epoch: i32 = connection.query_one(BEGIN_EPOCH, &[&number, &name]).await?.get(0);
    let routed_to: i64 = connection.query_one(ADOPT, &[]).await?.get(0);
    connection.execute(FORGET, &[]).await?;
    let version = env!("CARGO_PKG_VERSION");
    connection.execute(TAKE, &[&name, &instance, &epoch, &version, &routed_to]).await?;
    let rows = connection.query(EPOCHS, &[]).await?;
    let numbers =
        rows.iter().map(|row| (row.get(0), row.get::<_, i64>(1).cast_unsigned())).collect();
    let last = connection.query(LAST, &[]).await?;
    let (last_row, last_epoch) = last.first().map_or((0, epoch), |row| (row.get(0), row.get(1)));
    Ok(Ok(Taken { epoch, numbers, last_row, last_epoch, routed_to }))
}

/// Renews the lease. False where another host has the database.
pub(crate) async fn renew(link: &Link, epoch: i32, routed_to: i64) -> Result<bool, Error> {
    let connection = link.get().await?;
    Ok(connection.execute(RENEWED, &[&epoch, &routed_to]).await? == 1)
}

/// Gives the lease back, so that another host need not wait for its end.
pub(crate) async fn release(link: &Link, epoch: i32) -> Result<(), Error> {
    link.get().await?.execute(RELEASE, &[&epoch]).await.map(drop)
}
