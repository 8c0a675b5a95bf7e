//! Connections to the database: each kept for one use, opened again by itself, with its prepared statements.
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::url::Target;

/// A statement's parameter.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);

/// Opens connections, and knows whether the database can be had.
pub(crate) struct Connector {
    target: Target,
    tls: MakeRustlsConnect,
    reachable: AtomicBool,
}

impl Connector {
    pub(crate) fn new(target: Target, tls: Arc<rustls::ClientConfig>) -> Self {
        let tls = MakeRustlsConnect::new(Arc::unwrap_or_clone(tls));
        Self { target, tls, reachable: AtomicBool::new(true) }
    }

    pub(crate) fn place(&self) -> &str {
        &self.target.place
    }

    /// Whether the last attempt to connect succeeded.
    pub(crate) fn is_reachable(&self) -> bool {
        self.reachable.load(Ordering::Relaxed)
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        let opened = self.target.config.connect(self.tls.clone()).await;
        let was = self.reachable.swap(opened.is_ok(), Ordering::Relaxed);
        match &opened {
            Err(error) if was => {
                let (place, error) = (self.place(), super::error::text(error));
                tracing::error!(place, error, "the database can't be had; new events are refused");
            }
            Ok(_) if !was => tracing::info!(place = self.place(), "the database is back"),
            _ => {}
        }
        let (client, connection) = opened?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = super::error::text(&error);
                tracing::debug!(error, "a connection to the database ended");
            }
        });
        Ok(Connection { client, statements: Mutex::default() })
    }
}

/// An open connection. What is asked of it at once is sent at once and answered in order.
pub(crate) struct Connection {
    client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
}

impl Connection {
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The statement, prepared once a connection.
    pub(crate) async fn prepared(&self, sql: &'static str) -> Result<Statement, Error> {
        let known = self.statements.lock().get(sql).cloned();
        match known {
            Some(statement) => Ok(statement),
            None => {
                let statement = self.client.prepare(sql).await?;
                self.statements.lock().insert(sql, statement.clone());
                Ok(statement)
            }
        }
    }

    pub(crate) async fn query(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql).await?;
        self.client.query(&statement, values).await
    }

    pub(crate) async fn query_one(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Row, Error> {
        let statement = self.prepared(sql).await?;
        self.client.query_one(&statement, values).await
    }

    pub(crate) async fn execute(
        &self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<u64, Error> {
        let statement = self.prepared(sql).await?;
        self.client.execute(&statement, values).await
    }

    /// Text that is made for this once, with parameters.
    pub(crate) async fn query_text(
        &self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Error> {
        self.client.query(sql, values).await
    }

    /// Statements without parameters, sent as one message.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).await
    }
}

/// A place for one connection, which is opened when it is asked for and the one before is gone.
pub(crate) struct Link {
    connector: Arc<Connector>,
    open: AsyncMutex<Option<Arc<Connection>>>,
}

impl Link {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, open: AsyncMutex::new(None) }
    }

    pub(crate) async fn get(&self) -> Result<Arc<Connection>, Error> {
        let mut open = self.open.lock().await;
        if let Some(connection) = open.as_ref().filter(|open| !open.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        *open = None;
        let connection = Arc::new(self.connector.connect().await?);
        *open = Some(Arc::clone(&connection));
        Ok(connection)
    }
}
