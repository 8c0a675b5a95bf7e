//! Opening a database over a real server: whose it is, what is refused, and how that is said.
#![allow(clippy::unwrap_used)] // Its helpers are tests too.
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use hookwright_model::clock::Clock;
use hookwright_model::{Delivery, Event};
use hookwright_store::{Handoff, Maintenance};
use hookwright_store_postgres::{OpenError, Options, Postgres, open};
use hookwright_testpostgres::Server;

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER
        .get_or_init(|| Server::start(hookwright_testpostgres::Options { fsync: false, tls: true }))
}

fn tls(trusted: bool) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    if trusted {
        let pem = std::fs::read(server().certificate()).unwrap();
        roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn options(url: &str, node: &str) -> Options {
    let mut instance = [0; 16];
    instance[..node.len()].copy_from_slice(node.as_bytes());
    let (clock, tls) = (Clock::system(), Some(tls(true)));
    Options { url: url.to_owned(), clock, tls, node: node.to_owned(), instance }
}

/// Takes nothing.
struct Nobody;

impl Handoff for Nobody {
    fn durable(&self, _: Vec<Arc<Event>>) {}

    fn ready(&self, _: Vec<Delivery>) {}
}

fn opened(options: Options) -> Result<Postgres, OpenError> {
    open(options, Arc::new(Nobody))
}

fn refusal(options: Options) -> OpenError {
    opened(options).unwrap_err()
}

fn run<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(case)
}

fn close(store: &Postgres) {
    run(store.close()).unwrap();
}

#[test]
fn a_second_host_is_refused_until_the_lease_is_over() {
    let url = server().schema();
    let name = url.rsplit("%3D").next().unwrap();
    let first = opened(options(&url, "a")).unwrap();
    let text = refusal(options(&url, "b")).to_string();
    assert!(text.contains("in use by the host `a`"), "{text}");
    drop(first);
    // The same host, started again after a kill, need not wait for the end of its own lease.
    drop(opened(options(&url, "a")).unwrap());
    assert!(matches!(refusal(options(&url, "b")), OpenError::InUse { .. }));
    // Its lease runs out, as of a host that was killed.
    let late = "UPDATE host SET lease_until = now() - interval '1 second', routed_to = 7";
    server().sql(&format!("SET search_path = {name}; {late}"));
    let other = opened(options(&url, "b")).unwrap();
    let adopted = server().sql(&format!("SELECT routed_to FROM {name}.host"));
    assert_eq!(adopted.trim(), "7", "it is adopted");
    // In order, there is nothing to wait for.
    close(&other);
    close(&opened(options(&url, "c")).unwrap());
}

#[test]
fn two_hosts_that_start_at_once_make_the_tables_once() {
    let url = server().schema();
    let start = |node: &'static str| {
        let options = options(&url, node);
        std::thread::spawn(move || opened(options))
    };
    let both = [start("a"), start("b")].map(|one| one.join().unwrap());
    let good = both.iter().filter(|opened| match opened {
        Ok(_) => true,
        Err(error) => panic_unless_in_use(error),
    });
    assert_eq!(good.count(), 1);
}

fn panic_unless_in_use(error: &OpenError) -> bool {
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    false
}

#[test]
fn what_can_not_be_opened_is_said_in_a_sentence_with_its_cure() {
    let port = server().port();
    let url = server().schema();
    let name = url.rsplit("%3D").next().unwrap();
    close(&opened(options(&url, "a")).unwrap());
    server().sql(&format!("UPDATE {name}.hookwright_schema SET version = 999"));
    let error = refusal(options(&url, "a"));
    assert!(matches!(error, OpenError::Newer { found: 999, .. }), "{error}");

    let read_only = format!("{}%20-c%20default_transaction_read_only%3Don", server().schema());
    let error = refusal(options(&read_only, "a"));
    assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");

    server().sql("CREATE ROLE locked LOGIN PASSWORD 'right'");
    let locked = |user: &str| format!("postgres://{user}@127.0.0.1:{port}/postgres");
    for url in [locked("locked:wrong"), locked("locked"), server().url("nowhere")] {
        let error = refusal(options(&url, "a"));
        let text = error.to_string();
        assert!(matches!(error, OpenError::Refused { .. }), "{text}");
        assert!(text.contains(&format!("127.0.0.1:{port}")) && !text.contains("wrong:"), "{text}");
    }
    // It may connect, and may make no tables.
    let error = refusal(options(&locked("locked:right"), "a"));
    assert!(matches!(error, OpenError::SetUp { .. }), "{error}");

    let error = refusal(options("postgres://hookwright@127.0.0.1:1/postgres", "a"));
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    let error = refusal(options("sqlite://x", "a"));
    assert!(matches!(error, OpenError::Url(_)), "{error}");
}

#[test]
fn a_connection_over_tls_verifies_the_server() {
    let url = format!("{}&sslmode=verify-full", server().schema());
    let store = opened(options(&url, "tls")).unwrap();
    assert_eq!(run(store.usage()).unwrap().events, 0);
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
        WHERE ssl AND application_name = 'hookwright'";
    assert_ne!(server().sql(encrypted).trim(), "0");
    close(&store);
    let error = refusal(Options { tls: Some(tls(false)), ..options(&url, "tls") });
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let error = refusal(Options { tls: None, ..options(&url, "tls") });
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
}
