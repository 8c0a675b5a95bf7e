//! Opening: connects, looks at the server, brings the tables up to date, takes the lease, and starts the tasks.
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use hookwright_model::clock::Clock;
use hookwright_store::{Handoff, StoreError};

use super::append::{self, Appends};
use super::apply::Applier;
use super::connection::{Connection, Connector};
use super::engine::Engine;
use super::error::{self, OpenError};
use super::{lease, maintenance, schema, url};

/// Threads of the store's own: it waits for the database on them, and hands on.
const THREADS: usize = 2;
/// How long the close waits for what is to be written.
const CLOSING: Duration = Duration::from_secs(10);

/// What the store is opened with.
#[derive(Clone)]
pub struct Options {
    /// `postgres://user:password@host:5432/database`, with the parameters of libpq. It is in no message.
    pub url: String,
    /// Where the time of events and retries comes from. The lease goes by the database's own.
    pub clock: Clock,
    /// The roots and certificates for TLS; none: connections without TLS alone.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The host's name, for people; it must be that of one host only.
    pub node: String,
    /// What tells this host's data directory from all others. Who has the same is the same host, started again, and takes
    /// the database over at once.
    pub instance: [u8; 16],
}

impl std::fmt::Debug for Options {
    // The URL holds a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("node", &self.node).finish_non_exhaustive()
    }
}

/// The store on PostgreSQL. Dropped without a close it stops at once, as with a kill of the host.
pub struct Postgres {
    pub(crate) engine: Arc<Engine>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    runtime: Option<Runtime>,
}

/// Opens the store, and makes its tables where the database has none. Blocks until the database has answered.
///
/// # Errors
/// Why it can't be used, with the cure.
pub fn open(options: Options, handoff: Arc<dyn Handoff>) -> Result<Postgres, OpenError> {
    let target = url::parse(&options.url)?;
    let place = target.place.clone();
    let tls = options.tls.clone().unwrap_or_else(no_roots);
    let connector = Arc::new(Connector::new(target, tls));
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(THREADS).thread_name("store").enable_all();
    let runtime = builder
        .build()
        .map_err(|error| OpenError::SetUp { place: place.clone(), why: error.to_string() })?;
    // The caller may be on a runtime of its own, on which nothing may block but this.
    let (told, opened) = std::sync::mpsc::channel();
    runtime.spawn(async move {
        let _ = told.send(start(options, connector, handoff).await);
    });
    match opened.recv() {
        Ok(Ok((engine, tasks))) => {
            Ok(Postgres { engine, tasks: Mutex::new(tasks), runtime: Some(runtime) })
        }
        Ok(Err(error)) => {
            runtime.shutdown_background();
            Err(error)
        }
        Err(_) => {
            runtime.shutdown_background();
            Err(OpenError::SetUp { place, why: "the start broke off".into() })
        }
    }
}

/// Refuses every server: what TLS is without roots.
fn no_roots() -> Arc<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder =
        builder.with_safe_default_protocol_versions().expect("ring has the default versions");
    let roots = rustls::RootCertStore::empty();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

type Started = (Arc<Engine>, Vec<JoinHandle<()>>);

async fn start(
    options: Options,
    connector: Arc<Connector>,
    handoff: Arc<dyn Handoff>,
) -> Result<Started, OpenError> {
    let place = || connector.place().to_owned();
    let connection =
        connector.connect().await.map_err(|error| error::refused(connector.place(), &error))?;
    schema::ready(&connector, &connection).await?;
    let own = (&*options.node, &options.instance[..]);
    let taken = lease::take(&connector, &connection, own).await?;
    let failed = |error| OpenError::SetUp { place: place(), why: error::text(&error) };
    let settles_in = settles_in(&connection).await.map_err(failed)?;
    let (appends, incomings) = Appends::new();
    let (ops, queue) = mpsc::unbounded_channel();
    let engine =
        Engine::new(Arc::clone(&connector), &taken, (options.clock, handoff), (appends, ops));
    let engine = Arc::new(engine);
    let applier = Applier::new(Arc::clone(&engine), queue, settles_in);
    let tasks = vec![
        tokio::spawn(append::run(Arc::clone(&engine), incomings)),
        tokio::spawn(applier.run()),
        // Before the lease is given back: a renewal behind that would take it again.
        tokio::spawn(maintenance::run(Arc::clone(&engine))),
    ];
    Ok((engine, tasks))
}

/// After so long the server has written what it committed without waiting: three rounds of its writer.
async fn settles_in(on: &Connection) -> Result<Duration, tokio_postgres::Error> {
    const DELAY: &str = "SELECT setting::bigint FROM pg_settings WHERE name = 'wal_writer_delay'";
    let delay_ms: i64 = on.query_one(DELAY, &[]).await?.get(0);
    Ok(Duration::from_millis(delay_ms.cast_unsigned() * 4) + Duration::from_secs(1))
}

impl Postgres {
    /// Runs it on the store's own runtime, whatever the caller's is.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> JoinHandle<Result<T, StoreError>> {
        let runtime = self.runtime.as_ref().expect("it is there until the drop");
        runtime.spawn(work)
    }

    /// The tasks that end once all is written, the first time.
    pub(crate) fn take_tasks(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut self.tasks.lock())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.engine.shut();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl std::fmt::Debug for Postgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Postgres")
            .field("at", &self.engine.connector.place())
            .finish_non_exhaustive()
    }
}

/// Waits until all that was handed in is written, and gives the lease back.
pub(crate) async fn close(
    engine: Arc<Engine>,
    tasks: Vec<JoinHandle<()>>,
) -> Result<(), StoreError> {
    for task in tasks {
        let abort = task.abort_handle();
        if tokio::time::timeout(CLOSING, task).await.is_err() {
            abort.abort();
            let why = "the database can't be had: what was not recorded is done again after the next start";
            return Err(StoreError::Failed(why.into()));
        }
    }
    lease::release(&engine.side, engine.epoch).await.map_err(|error| error::failed(&error))
}
