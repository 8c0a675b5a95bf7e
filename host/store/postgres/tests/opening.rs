//! Opening a database over a real server: whose it is, what is refused, and how that is said.
#![allow(clippy::unwrap_used)] // Its helpers are tests too.
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use hookwright_store_postgres::{Database, OpenError, Options};
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
    Options { url: url.to_owned(), node: node.to_owned(), instance, tls: tls(true) }
}

fn run<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(case)
}

async fn refusal(options: Options) -> OpenError {
    Database::open(options).await.unwrap_err()
}

/// What a paused host writes after another one has taken the database fails.
#[test]
fn a_second_host_is_refused_and_a_host_that_was_taken_for_dead_is_fenced() {
    run(async {
        let url = server().schema();
        let name = url.rsplit("%3D").next().unwrap().to_owned();
        let first = Database::open(options(&url, "a")).await.unwrap();
        assert!(first.renew().await.unwrap());
        let text = refusal(options(&url, "b")).await.to_string();
        assert!(text.contains("in use by the host `a`"), "{text}");

        // The same host, started again after a kill, need not wait for the end of its own lease.
        let again = Database::open(options(&url, "a")).await.unwrap();
        assert!(again.epoch() > first.epoch());
        assert!(again.node(first.epoch()).is_some() && again.node(i32::MAX).is_none());
        assert!(!first.renew().await.unwrap(), "its epoch is over");
        again.routed_to(7);
        assert!(again.renew().await.unwrap());

        // Its lease runs out, as of a host that was killed.
        let in_schema = |sql: &str| server().sql(&format!("SET search_path = {name}; {sql}"));
        in_schema("UPDATE host SET lease_until = now() - interval '1 second'");
        let other = Database::open(options(&url, "b")).await.unwrap();
        assert!(!again.renew().await.unwrap());
        in_schema(&format!("SELECT hw_fence({})", other.epoch()));
        let late = format!("SET search_path = {name}; SELECT hw_fence({})", again.epoch());
        let late = std::panic::catch_unwind(|| server().sql(&late));
        assert!(late.is_err(), "a write under an epoch that is over fails");
        assert_eq!(in_schema("SELECT routed_to FROM host").trim(), "7", "it is adopted");

        // In order, there is nothing to wait for.
        other.close().await.unwrap();
        Database::open(options(&url, "c")).await.unwrap();
    });
}

#[test]
fn two_hosts_that_start_at_once_make_the_tables_once() {
    run(async {
        let url = server().schema();
        let opened =
            tokio::join!(Database::open(options(&url, "a")), Database::open(options(&url, "b")));
        let good = [opened.0, opened.1].into_iter().filter(|opened| match opened {
            Ok(_) => true,
            Err(error) => panic_unless_in_use(error),
        });
        assert_eq!(good.count(), 1);
    });
}

fn panic_unless_in_use(error: &OpenError) -> bool {
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    false
}

#[test]
fn what_can_not_be_opened_is_said_in_a_sentence_with_its_cure() {
    run(async {
        let port = server().port();
        let url = server().schema();
        let name = url.rsplit("%3D").next().unwrap();
        Database::open(options(&url, "a")).await.unwrap().close().await.unwrap();
        server().sql(&format!("UPDATE {name}.hookwright_schema SET version = 999"));
        let error = refusal(options(&url, "a")).await;
        assert!(matches!(error, OpenError::Newer { found: 999, .. }), "{error}");

        let read_only = format!("{}%20-c%20default_transaction_read_only%3Don", server().schema());
        let error = refusal(options(&read_only, "a")).await;
        assert!(matches!(error, OpenError::ReadOnly { .. }), "{error}");

        server().sql("CREATE ROLE locked LOGIN PASSWORD 'right'");
        let locked = |user: &str| format!("postgres://{user}@127.0.0.1:{port}/postgres");
        for url in [locked("locked:wrong"), locked("locked"), server().url("nowhere")] {
            let error = refusal(options(&url, "a")).await;
            let text = error.to_string();
            assert!(matches!(error, OpenError::Refused { .. }), "{text}");
            assert!(
                text.contains(&format!("127.0.0.1:{port}")) && !text.contains("wrong:"),
                "{text}"
            );
        }
        // It may connect, and may make no tables.
        let error = refusal(options(&locked("locked:right"), "a")).await;
        assert!(matches!(error, OpenError::SetUp { .. }), "{error}");

        let error = refusal(options("postgres://hookwright@127.0.0.1:1/postgres", "a")).await;
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
        let error = refusal(options("sqlite://x", "a")).await;
        assert!(matches!(error, OpenError::Url(_)), "{error}");
    });
}

#[test]
fn a_connection_over_tls_verifies_the_server() {
    run(async {
        let url = format!("{}&sslmode=verify-full", server().schema());
        let opened = Database::open(options(&url, "tls")).await.unwrap();
        let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE ssl AND application_name = 'hookwright'";
        assert_ne!(server().sql(encrypted).trim(), "0");
        opened.close().await.unwrap();
        let error = refusal(Options { tls: tls(false), ..options(&url, "tls") }).await;
        assert!(matches!(error, OpenError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    });
}
