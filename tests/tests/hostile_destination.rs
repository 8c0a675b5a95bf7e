//! One host, a destination that does everything wrong, and a healthy one beside it.
use std::collections::HashMap;
use std::time::Duration;

use hookwright_tests::{Act, Client, Host, HostBuilder, Receiver, Wild, eventually, is_signed};
use serde_json::Value;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const IN_FLIGHT: usize = 16;
const ATTEMPTS: usize = 4;
/// Events of each kind.
const EACH: usize = 3;
/// Events for the healthy destination alone.
const HEALTHY: usize = 1_200;
const MIB: u64 = 1 << 20;

/// How a kind of misbehaviour must end.
#[derive(Debug, Clone, Copy)]
enum End {
    Delivered,
    /// After all attempts, each ended by this status or cause.
    Dead(&'static str),
    /// The same where either may be seen.
    DeadBy([&'static str; 2]),
    /// Not before a day, as it was asked.
    Later,
}

use Act::{Close, HalfClose, Hang, Repeat, Reset, Trickle, Write};
use End::{Dead, DeadBy, Delivered, Later};

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

fn text(text: &str) -> String {
    text.to_owned()
}

/// Connections that break, and answers that never come or never end.
fn broken() -> Vec<(&'static str, Act, End)> {
    let chunked = text("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let brief = Duration::from_millis(40);
    vec![
        ("reset at once", Reset(text("")), Dead("protocol")),
        ("reset in the head", Reset(text("HTTP/1.1 200")), Dead("protocol")),
        (
            "2xx, then reset",
            Reset(text("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")),
            Delivered,
        ),
        ("closed at once", Close(text("")), Dead("protocol")),
        ("closed after each", Close(answer("200 OK", "connection: close\r\n", "")), Delivered),
        ("closed unannounced", Close(answer("200 OK", "", "")), Delivered),
        ("half-closed at once", HalfClose(text("")), Dead("protocol")),
        ("half-closed in the head", HalfClose(text("HTTP/1.1 200 OK\r\nx:")), Delivered),
        ("half-closed after it", HalfClose(text("HTTP/1.1 200 OK\r\n\r\nto the end")), Delivered),
        ("silence", Hang(text("")), Dead("timeout")),
        ("head without end", Hang(text("HTTP/1.1 200 OK\r\nx: 1\r\n")), Delivered),
        (
            "body that stops",
            Hang(text("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")),
            Delivered,
        ),
        ("a byte a while", Trickle(answer("200 OK", "", ""), brief), Dead("timeout")),
        ("endless body", Repeat(chunked.clone(), chunk.clone()), Delivered),
        ("endless failure", Repeat(chunked.replace("200 OK", "500 No"), chunk), Dead("500")),
        (
            "endless headers",
            Repeat(text("HTTP/1.1 200 OK\r\n"), "x: and more\r\n".repeat(90)),
            Delivered,
        ),
        ("an endless header", Repeat(text("HTTP/1.1 200 OK\r\nx: "), "x".repeat(4_096)), Delivered),
        ("many headers", Close(answer("200 OK", &"x: 1\r\n".repeat(200), "")), Delivered),
        ("a sloppy header line", Write(answer("200 OK", "X-Frame : a\r\n", "")), Delivered),
        ("a folded header line", Write(answer("200 OK", "x: a\r\n b\r\n", "")), Delivered),
        ("a line of no header", Write(answer("200 OK", "no colon\r\n", "")), Delivered),
        (
            "endless headers of a failure",
            Repeat(text("HTTP/1.1 500 No\r\n"), "x: 1\r\n".repeat(90)),
            Dead("500"),
        ),
        ("endless chunk size", Repeat(chunked, "0".repeat(1_024)), Delivered),
    ]
}

/// Answers that are whole, and wrong.
fn wrong() -> Vec<(&'static str, Act, End)> {
    let many = |head: &str| Repeat(text(""), format!("HTTP/1.1 {head}\r\n\r\n").repeat(50));
    let asked = |value: &str| Write(answer("500 No", &format!("retry-after: {value}\r\n"), ""));
    let two = answer("200 OK", "", "") + &answer("500 Unasked", "", "");
    vec![
        (
            "length too great",
            Close(text("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nfew")),
            Delivered,
        ),
        (
            "length too small",
            Write(text("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nmuch")),
            Delivered,
        ),
        (
            "length below nothing",
            Close(text("HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n")),
            Delivered,
        ),
        ("two lengths", Close(answer("200 OK", "content-length: 7\r\n", "x")), Delivered),
        (
            "bad chunks",
            Close(text("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n")),
            Delivered,
        ),
        ("an answer too many", Write(two), Delivered),
        (
            "100, then 200",
            Write(format!("HTTP/1.1 100 Continue\r\n\r\n{}", answer("200 OK", "", ""))),
            Delivered,
        ),
        ("100, then silence", Hang(text("HTTP/1.1 100 Continue\r\n\r\n")), Dead("timeout")),
        ("100 for ever", many("100 Continue"), Dead("protocol")),
        ("102 for ever", many("102 Processing"), Dead("protocol")),
        ("103 for ever", many("103 Early Hints\r\nlink: </style.css>"), Dead("protocol")),
        (
            "101",
            Close(text("HTTP/1.1 101 Other\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")),
            DeadBy(["101", "protocol"]),
        ),
        ("no HTTP", Close(text("SSH-2.0-OpenSSH_9.9\r\n")), Dead("protocol")),
        ("HTTP/0.9", Close(text("fine, thank you")), Dead("protocol")),
        ("a status of letters", Close(text("HTTP/1.1 2xx OK\r\n\r\n")), Dead("protocol")),
        ("a status of its own", Write(answer("999 Odd", "", "")), Dead("999")),
        ("NUL in a header", Close(answer("200 OK", "x: a\0b\r\n", "")), Delivered),
        ("plain failure", Write(answer("500 No", "", "sorry")), Dead("500")),
        (
            "compressed to burst",
            Write(answer("200 OK", "content-encoding: gzip\r\n", "\u{1f}\u{8}")),
            Delivered,
        ),
        ("retry-after: inf", asked("inf"), Dead("500")),
        ("retry-after: 1e18", asked("1e18"), Dead("500")),
        ("retry-after: -1", asked("-1"), Dead("500")),
        ("retry-after: long ago", asked("Thu, 01 Jan 1970 00:00:00 GMT"), Dead("500")),
        ("retry-after: for ever", asked("99999999999999999999"), Later),
        ("retry-after: year 9999", asked("Fri, 31 Dec 9999 23:59:59 GMT"), Later),
    ]
}

fn settings(wild: &Wild, tls: &Wild, healthy: &Receiver) -> String {
    let retry = format!(
        "retry = {{ base = \"10ms\", cap = \"10ms\", attempts = {ATTEMPTS} }}\ntimeout = \"400ms\"\n\
         breaker = {{ attempts = 0 }}\nadaptive = false"
    );
    let sign =
        format!("sign = {{ scheme = \"standard\", secrets = [\"dangerous_plain:{SECRET}\"] }}");
    format!(
        "[sources.all]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"wild\", \"healthy\"]\n\
         [sources.tls]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"tls\"]\n\
         [sources.quiet]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"healthy\"]\n\
         [destinations.wild]\nurl = \"http://{}/\"\nallow_private = true\nin_flight = {IN_FLIGHT}\n{retry}\n\
         [destinations.tls]\nurl = \"https://{}/\"\nallow_private = true\n{retry}\n\
         [destinations.healthy]\nurl = \"{}\"\nallow_private = true\nin_flight = 4\n{sign}\n",
        wild.address(),
        tls.address(),
        healthy.url(),
    )
}

async fn post(client: &Client, host: &Host, path: &str, body: &str) -> String {
    let body = body.as_bytes().to_vec();
    let posted = client.post(host.ingress(), path, &[], body).await.expect("an answer");
    assert_eq!(posted.status, 202);
    posted.id()
}

/// The delivery to a destination once no attempt is to come soon.
async fn ended(host: &Host, id: &str, destination: &str) -> Value {
    let deadline = Duration::from_secs(60);
    eventually(&format!("{id} to {destination} has ended"), deadline, || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        let mut all = event["deliveries"].as_array()?.iter();
        let delivery = all.find(|one| one["destination"] == destination)?.clone();
        let waits = delivery["state"] == "waiting";
        let soon = delivery["due_ms"].as_u64()? < event["received_ms"].as_u64()? + 3_600_000;
        (!waits || !soon).then_some(delivery)
    })
    .await
}

/// `200`, or a cause.
fn outcomes(delivery: &Value) -> Vec<String> {
    let log = delivery["log"].as_array().expect("a log of attempts").iter();
    let outcome = |attempt: &Value| match attempt["status"].as_u64() {
        Some(status) => status.to_string(),
        None => attempt["cause"].as_str().expect("a status or a cause").to_owned(),
    };
    log.map(outcome).collect()
}

fn check(kind: &str, end: End, delivery: &Value) {
    let (state, seen) = (delivery["state"].as_str(), outcomes(delivery));
    let told = format!("{kind}: {delivery}");
    // A connection that the destination is just closing may take a request with it.
    let all = |wanted: &[&str]| {
        let last = seen.last().expect("an attempt");
        wanted.contains(&last.as_str())
            && seen.iter().all(|one| one == "protocol" || wanted.contains(&one.as_str()))
    };
    match end {
        Delivered => assert!(state == Some("delivered") && all(&["200"]), "{told}"),
        Dead(by) => {
            assert!(state == Some("dead") && seen.len() == ATTEMPTS && all(&[by]), "{told}");
        }
        DeadBy(either) => {
            assert!(state == Some("dead") && seen.len() == ATTEMPTS && all(&either), "{told}");
        }
        Later => assert!(state == Some("waiting") && all(&["500"]), "{told}"),
    }
}

/// "One deadline over DNS, connect, TLS, headers and body; bounded reads; saturating arithmetic.
/// A destination harms only itself."
#[tokio::test(flavor = "multi_thread")]
async fn every_delivery_to_a_hostile_destination_is_accounted_for_and_its_neighbour_is_well() {
    let healthy = Receiver::good().await;
    let trap = Receiver::good().await;
    let mut table = broken();
    table.extend(wrong());
    let away = Write(answer("302 Found", &format!("location: {}\r\n", trap.url()), ""));
    table.push(("redirect", away, Dead("302")));
    let acts = table.iter().map(|(kind, act, _)| ((*kind).to_owned(), act.clone()));
    let wild = Wild::start(acts.collect::<HashMap<_, _>>()).await;
    let alert = "\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{28}";
    let handshakes = vec![
        Close(text("")),
        Reset(text("")),
        Close(text(alert)),
        Close(answer("200 OK", "", "")),
        Hang(text("\u{16}\u{3}\u{3}")),
        Repeat(text(""), text(alert)),
    ];
    let tls = Wild::start_raw(handshakes).await;
    let host = HostBuilder::new(&settings(&wild, &tls, &healthy)).start().await;

    let client = &host.client;
    post(client, &host, "/in/quiet", "warm").await;
    host.settled(Duration::from_secs(20)).await;
    let before = host.resident();
    let mut sent = Vec::new();
    let mut expected = 1;
    for round in 0..EACH {
        for (kind, _, end) in &table {
            sent.push((post(client, &host, "/in/all", kind).await, *kind, *end));
        }
        for _ in 0..HEALTHY / EACH {
            post(client, &host, "/in/quiet", "well").await;
        }
        expected += table.len() + HEALTHY / EACH;
        sent.push((
            post(client, &host, "/in/tls", &format!("tls {round}")).await,
            "tls",
            Dead("tls"),
        ));
    }
    let mut attempts = HashMap::<&str, usize>::new();
    for (id, kind, end) in &sent {
        if *kind == "tls" {
            let delivery = ended(&host, id, "tls").await;
            let known = ["tls", "timeout", "protocol"];
            let seen = outcomes(&delivery);
            assert_eq!((delivery["state"].as_str(), seen.len()), (Some("dead"), ATTEMPTS));
            assert!(seen.iter().all(|one| known.contains(&one.as_str())), "{delivery}");
            continue;
        }
        let delivery = ended(&host, id, "wild").await;
        check(kind, *end, &delivery);
        *attempts.entry(kind).or_default() += outcomes(&delivery).len();
        assert_eq!(ended(&host, id, "healthy").await["state"], "delivered");
    }
    for (kind, made) in attempts {
        assert!(wild.requests(kind) <= made, "{kind}: {} for {made}", wild.requests(kind));
    }
    eventually("the healthy one has all", Duration::from_secs(20), || async {
        (healthy.count() >= expected).then_some(())
    })
    .await;
    well(&host, &healthy, expected);
    assert_eq!(trap.connections(), 0, "no redirect is followed");
    // The server is still busy with a few that the host has given up on; without
    // a limit there would be as many as there are deliveries.
    assert!(wild.most() <= IN_FLIGHT + IN_FLIGHT / 4, "{} at once", wild.most());
    let grown = host.resident().saturating_sub(before);
    assert!(grown < 48 * MIB, "{} MiB more than before", grown / MIB);
}

fn well(host: &Host, healthy: &Receiver, expected: usize) {
    let got = healthy.received();
    assert_eq!(got.len(), expected, "each once\n{}", host.log());
    assert!(got.iter().all(|one| is_signed(one, SECRET)));
    let reuse = 1.0 - healthy.connections() as f64 / got.len() as f64;
    assert!(reuse >= 0.99, "{} connections for {} requests", healthy.connections(), got.len());
}
