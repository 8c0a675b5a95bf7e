//! A server that is killed and comes back: the host keeps its lease and its epoch, and connects again by itself.
#![allow(clippy::unwrap_used)] // Its helpers are tests too.
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookwright_store_postgres::{Database, Options};
use hookwright_testpostgres::Server;

fn options(url: &str) -> Options {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let roots = rustls::RootCertStore::empty();
    let tls = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    Options { url: url.to_owned(), node: "a".to_owned(), instance: [1; 16], tls }
}

#[test]
fn a_lease_outlives_a_kill_of_the_server() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut server =
            Server::start(hookwright_testpostgres::Options { fsync: true, tls: false });
        let url = server.schema();
        let database = Database::open(options(&url)).await.unwrap();
        let epoch = database.epoch();
        assert!(database.renew().await.unwrap() && database.is_reachable());
        server.kill();
        // Processes of a server whose first one was killed may answer once more; then nobody is there to connect to.
        let until = Instant::now() + Duration::from_secs(60);
        while database.is_reachable() {
            let renewed = database.renew().await;
            assert!(Instant::now() < until, "the server is gone: {renewed:?}");
        }
        database.renew().await.unwrap_err();
        assert!(!database.is_reachable());
        server.restart();
        assert!(database.renew().await.unwrap(), "it is still this host's");
        assert!(database.is_reachable());
        assert_eq!(database.epoch(), epoch);
        database.close().await.unwrap();
    });
}
