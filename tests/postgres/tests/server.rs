//! The server for tests starts, survives a kill, and leaves nothing behind.
#![allow(clippy::unwrap_used)] // Its helpers are tests too.
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use hookwright_testpostgres::{Options, Server};

/// What makes [`server_of_a_killed_process`] more than empty: it runs in a process that is killed.
const TO_BE_KILLED: &str = "HOOKWRIGHT_TO_BE_KILLED";

fn psql(url: &str, statement: &str) -> Output {
    Command::new("psql").args(["-X", "-A", "-t", "-c", statement, url]).output().unwrap()
}

fn answer(url: &str, statement: &str) -> String {
    let output = psql(url, statement);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < until);
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The identifier of the System V segment of a server that runs or was killed.
fn segment(data: &Path) -> String {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).unwrap();
    file.lines().nth(6).unwrap().split_whitespace().last().unwrap().to_owned()
}

fn has_segment(id: &str) -> bool {
    let all = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    all.lines().any(|line| line.split_whitespace().nth(1) == Some(id))
}

fn has_processes(data: &Path) -> bool {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let mut folders = all.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    folders.any(|folder| folder.starts_with(data))
}

fn assert_is_gone(data: &Path, segment: &str) {
    assert!(!data.exists());
    assert!(!has_processes(data));
    assert!(!has_segment(segment));
}

#[test]
fn what_it_acknowledged_is_there_after_a_kill_and_nothing_is_left_at_the_end() {
    let mut server = Server::start(Options { fsync: true, tls: true });
    let url = server.url("postgres");
    answer(&url, "CREATE TABLE kept(n int)");
    answer(&url, "INSERT INTO kept VALUES(7)");
    assert_ne!(server.schema(), server.schema());
    let certificate = server.certificate();
    let data = certificate.parent().unwrap();
    server.kill();
    assert!(!has_processes(data));
    server.restart();
    assert_eq!(answer(&url, "SELECT n FROM kept"), "7");
    assert_eq!(server.sql("SHOW ssl").trim(), "on");
    server.stop();
    assert!(!has_processes(data));
    server.restart();
    assert_eq!(answer(&format!("{url}?sslmode=require"), "SELECT n FROM kept"), "7");
    let (port, segment) = (server.port(), segment(data));
    drop(server);
    assert_is_gone(data, &segment);
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}

#[test]
fn two_servers_run_side_by_side_each_with_its_own_settings_and_password() {
    let one = Server::start_with(Options::default(), &[("cluster_name", "it's one")]);
    let two = Server::start(Options::default());
    assert_eq!(one.sql("SHOW cluster_name").trim(), "it's one");
    let url = one.create_database("Case 1");
    assert_eq!(answer(&url.replace(' ', "%20"), "SELECT current_database()"), "Case 1");
    assert_eq!(two.sql("SELECT count(*) FROM pg_database WHERE datname = 'Case 1'").trim(), "0");
    let password = |url: &str| url.split([':', '@']).nth(2).unwrap().to_owned();
    let other = two
        .url("postgres")
        .replace(&password(&two.url("postgres")), &password(&one.url("postgres")));
    let refused = psql(&other, "SELECT 1");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("password authentication failed"));
}

#[test]
fn a_setting_that_postgresql_refuses_is_named() {
    let start = || Server::start_with(Options::default(), &[("max_connections", "many")]);
    let panic = std::panic::catch_unwind(start).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.contains("max_connections"), "{text}");
}

/// Each process of a server has a session of its own, so a signal to the group of the first one pauses that one only.
#[test]
fn a_paused_server_answers_when_it_continues() {
    let server = Server::start(Options::default());
    let url = server.url("postgres");
    let mut session = Command::new("psql");
    session.args(["-X", "-A", "-t", "-q", &url]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut session = session.spawn().unwrap();
    let mut lines = BufReader::new(session.stdout.take().unwrap()).lines();
    let mut input = session.stdin.take().unwrap();
    let mut send = |text: &str| std::io::Write::write_all(&mut input, text.as_bytes()).unwrap();
    send("SELECT 1;\n");
    assert_eq!(lines.next().unwrap().unwrap(), "1");
    server.pause();
    send("SELECT 2;\n");
    let (sent, received) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || sent.send(lines.next().unwrap().unwrap()).unwrap());
    received.recv_timeout(Duration::from_millis(300)).unwrap_err();
    server.resume();
    assert_eq!(received.recv_timeout(Duration::from_secs(30)).unwrap(), "2");
    reader.join().unwrap();
    drop(input);
    session.wait().unwrap();

    // It ends while it is paused, too.
    server.pause();
    let data = server.certificate().parent().unwrap().to_owned();
    let segment = segment(&data);
    drop(server);
    assert_is_gone(&data, &segment);
}

/// PostgreSQL frees a System V segment only when it ends by itself, or starts again in the same folder.
#[test]
fn regression_a_server_that_was_killed_leaves_no_shared_memory() {
    let mut server = Server::start(Options::default());
    let data = server.certificate().parent().unwrap().to_owned();
    server.kill();
    let segment = segment(&data);
    assert!(has_segment(&segment));
    drop(server);
    assert_is_gone(&data, &segment);
}

#[test]
fn a_test_process_that_is_killed_leaves_nothing_behind() {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process.args(["--exact", "server_of_a_killed_process", "--nocapture"]);
    let mut process = process.env(TO_BE_KILLED, "1").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
    let data = lines.find_map(|line| Some(PathBuf::from(line.split_once("data: ")?.1))).unwrap();
    assert!(has_processes(&data));
    let segment = segment(&data);
    process.kill().unwrap();
    process.wait().unwrap();
    wait_until(|| !data.exists());
    assert_is_gone(&data, &segment);
}

#[test]
fn server_of_a_killed_process() {
    if std::env::var_os(TO_BE_KILLED).is_some() {
        let data = Server::shared().certificate();
        println!("data: {}", data.parent().unwrap().display());
        loop {
            std::thread::park();
        }
    }
}
