//! Connections to the database: each kept for one use, opened again by itself, with its prepared statements.
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::maybe_done;
use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Kind, kind};
use super::url::Target;

/// Tries of a read after the first one.
const TRIES: u32 = 3;

/// A statement's parameter.
pub(crate) type Value<'a> = &'a (dyn ToSql + Sync);

/// One statement of a transaction that is sent in one flight.
pub(crate) struct Step<'a> {
    sql: &'static str,
    values: Vec<Box<dyn ToSql + Sync + Send + 'a>>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(sql: &'static str) -> Self {
        Self { sql, values: Vec::new() }
    }

    /// With a further parameter.
    pub(crate) fn with(mut self, value: impl ToSql + Sync + Send + 'a) -> Self {
        self.values.push(Box::new(value));
        self
    }
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Vec<Row>, Error>> + Send + 'a>>;

/// What is set in each session. An answer after the commit has to mean that it is durable, whatever the server's default.
const SESSION: &str = "SELECT set_config('synchronous_commit', 'on', false) \
    WHERE current_setting('synchronous_commit') = 'off'";

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
        client.batch_execute(SESSION).await?;
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
        let mut tries = 0;
        loop {
            let asked = async {
                let statement = self.prepared(sql).await?;
                self.client.query(&statement, values).await
            };
            match asked.await {
                // A purge was in the way.
                Err(error) if tries < TRIES && kind(&error) == Kind::Again => tries += 1,
                answered => return answered,
            }
        }
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
        let mut tries = 0;
        loop {
            match self.client.query(sql, values).await {
                Err(error) if tries < TRIES && kind(&error) == Kind::Again => tries += 1,
                answered => return answered,
            }
        }
    }

    /// A transaction in one flight: all is sent before the first answer is there. Answers the rows of each step.
    ///
    /// Where a step fails, the server refuses those behind it, and takes the commit for a rollback.
    pub(crate) async fn transaction(
        &self,
        begin: &str,
        steps: &[Step<'_>],
    ) -> Result<Vec<Vec<Row>>, Error> {
        let mut prepared = Vec::with_capacity(steps.len());
        for step in steps {
            prepared.push(self.prepared(step.sql).await?);
        }
        let values: Vec<Vec<Value<'_>>> = steps
            .iter()
            .map(|step| step.values.iter().map(|value| &**value as Value<'_>).collect())
            .collect();
        let edge = |sql: &str| -> Answering<'_> {
            let sql = sql.to_owned();
            Box::pin(async move { self.client.batch_execute(&sql).await.map(|()| Vec::new()) })
        };
        let mut flight = vec![maybe_done(edge(begin))];
        for (statement, values) in prepared.iter().zip(&values) {
            let answering: Answering<'_> = Box::pin(self.client.query(statement, values));
            flight.push(maybe_done(answering));
        }
        flight.push(maybe_done(edge("COMMIT")));
        // A look at each in turn sends it.
        for answer in &mut flight {
            let _ = answer.now_or_never();
        }
        let mut rows = Vec::with_capacity(steps.len());
        let mut failed = None;
        for mut answer in flight {
            (&mut answer).await;
            match Pin::new(&mut answer).take_output() {
                Some(Ok(answered)) => rows.push(answered),
                Some(Err(error)) => drop(failed.get_or_insert(error)),
                None => {}
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        rows.pop();
        rows.remove(0);
        Ok(rows)
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
    opened: AtomicU64,
}

impl Link {
    pub(crate) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, open: AsyncMutex::new(None), opened: AtomicU64::new(0) }
    }

    pub(crate) async fn get(&self) -> Result<Arc<Connection>, Error> {
        let mut open = self.open.lock().await;
        if let Some(connection) = open.as_ref().filter(|open| !open.is_closed()) {
            return Ok(Arc::clone(connection));
        }
        *open = None;
        let connection = Arc::new(self.connector.connect().await?);
        *open = Some(Arc::clone(&connection));
        self.opened.fetch_add(1, Ordering::SeqCst);
        Ok(connection)
    }

    /// How many connections there have been: another number than before says that the server may have ended meanwhile.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    /// Lets go of the connection: its transaction, whatever its state, ends with it.
    pub(crate) async fn reset(&self) {
        *self.open.lock().await = None;
    }
}
