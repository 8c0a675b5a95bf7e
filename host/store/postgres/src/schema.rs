//! The tables: made, or brought to this host's version, when the store is opened.
//!
//! Each step only adds (a table, a column with a default, a function with a new name); what it replaces goes with a
//! later version, so that hosts of two versions work on one database while they are replaced one by one.
use tokio_postgres::Error;

use super::connection::{Connection, Connector};
use super::error::{self, OpenError};

/// What makes each version of the one before it.
const STEPS: &[&str] = &[
    include_str!("../sql/0001_tables.sql"),
    include_str!("../sql/0002_fence.sql"),
    include_str!("../sql/0003_functions.sql"),
];

/// The version that this host knows.
pub(crate) const VERSION: i32 = STEPS.len() as i32;

/// The oldest server, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

const SERVER: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
    pg_is_in_recovery() OR current_setting('transaction_read_only')::bool, \
    to_regclass('hookwright_schema') IS NOT NULL";

/// Refuses a server that can't be used, and makes the tables where it has none or older ones.
pub(crate) async fn ready(connector: &Connector, connection: &Connection) -> Result<(), OpenError> {
    let place = || connector.place().to_owned();
    let failed = |error: Error| OpenError::SetUp { place: place(), why: error::text(&error) };
    let server = connection.query_one(SERVER, &[]).await.map_err(failed)?;
    if server.get::<_, i32>(0) < OLDEST_SERVER {
        return Err(OpenError::TooOld { place: place(), found: server.get(1) });
    }
    if server.get(2) {
        return Err(OpenError::ReadOnly { place: place() });
    }
    let found = match server.get(3) {
        true => version(connection).await.map_err(failed)?,
        false => 0,
    };
    if found > VERSION {
        return Err(OpenError::Newer { place: place(), found, known: VERSION });
    }
    if found < VERSION {
        migrate(connection).await.map_err(failed)?;
    }
    Ok(())
}

async fn version(connection: &Connection) -> Result<i32, Error> {
    let found = connection.query_text("SELECT version FROM hookwright_schema", &[]).await?;
    Ok(found.first().map_or(0, |row| row.get(0)))
}

/// All in one transaction, behind a lock that goes with it: of two hosts that start at once, the second finds it done.
async fn migrate(connection: &Connection) -> Result<(), Error> {
    connection
        .run(
            "BEGIN; SELECT pg_advisory_xact_lock(1213682513, hashtext(current_schema())); \
             CREATE TABLE IF NOT EXISTS hookwright_schema(version integer NOT NULL);",
        )
        .await?;
    let migrated = steps(connection).await;
    connection.run(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    migrated
}

async fn steps(connection: &Connection) -> Result<(), Error> {
    let found = version(connection).await?;
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        connection.run(step).await?;
    }
    if found < VERSION {
        let set = format!(
            "DELETE FROM hookwright_schema; INSERT INTO hookwright_schema VALUES({VERSION})"
        );
        connection.run(&set).await?;
    }
    Ok(())
}
