//! The server for tests starts, survives a kill, and leaves nothing behind.
use std::path::Path;

use hookwright_testpostgres::{Options, Server};

#[test]
fn what_it_acknowledged_is_there_after_a_kill_and_nothing_is_left_at_the_end() {
    let mut server = Server::start(Options { fsync: true, tls: true });
    server.sql("CREATE TABLE kept(n int); INSERT INTO kept VALUES(7)");
    assert_ne!(server.schema(), server.schema());
    let certificate = server.certificate();
    assert!(certificate.exists());
    server.kill();
    server.restart();
    assert_eq!(server.sql("SELECT n FROM kept").trim(), "7");
    assert_eq!(server.sql("SHOW ssl").trim(), "on");
    let port = server.port();
    drop(server);
    assert!(!certificate.parent().is_some_and(Path::exists));
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
