//! Bad input from outside: each kind gets a clear refusal, and nothing is lost.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SETTINGS: &str = r#"
[ingress]
listen = "127.0.0.1:0"
max_body = "64KiB"
header_timeout = "2s"
body_timeout = "2s"
max_connections = 2000

[sources.hub]
verify = { scheme = "github", secrets = ["dangerous_plain:It's a Secret to Everybody"] }

[sources.pay]
verify = { scheme = "stripe", secrets = ["dangerous_plain:whsec_test"], tolerance = "5m" }

[sources.open]
verify = { scheme = "none" }

[sources.slowly]
verify = { scheme = "none" }
rate = "1/m"

[sources.home]
verify = { scheme = "none" }
allow = ["10.0.0.0/8"]
"#;

const GOOD: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

async fn refused(host: &Host, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let posted = host.client.post(host.ingress(), path, headers, body.to_owned()).await;
    let posted = posted.expect("an answer");
    assert_eq!(posted.header("content-type"), "application/problem+json", "{path}");
    (posted.status, posted.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_request_has_its_status_and_loses_nothing() {
    let host = HostBuilder::new(SETTINGS).start().await;
    let good = [("x-hub-signature-256", GOOD)];
    let hub = host.client.post(host.ingress(), "/in/hub", &good, "Hello, World!").await;
    assert_eq!(hub.expect("an answer").status, 202);

    assert_eq!(refused(&host, "/in/nobody", &[], "x").await.0, 404);
    assert_eq!(refused(&host, "/elsewhere", &[], "x").await.0, 404);
    let wrong = [("x-hub-signature-256", "sha256=00")];
    let bad = refused(&host, "/in/hub", &wrong, "Hello, World!").await;
    let none = refused(&host, "/in/hub", &[], "Hello, World!").await;
    let changed = refused(&host, "/in/hub", &good, "Hello, World?").await;
    assert_eq!(bad.0, 401);
    assert_eq!((&bad, &bad), (&none, &changed), "no hint which part was wrong");
    let stale = [("stripe-signature", "t=1000000000,v1=00")];
    assert_eq!(refused(&host, "/in/pay", &stale, "{}").await, bad, "a stale timestamp");
    assert_eq!(refused(&host, "/in/open", &[], &"x".repeat(65 * 1024)).await.0, 413);
    let first = host.client.post(host.ingress(), "/in/slowly", &[], "x").await;
    assert_eq!(first.expect("an answer").status, 202);
    assert_eq!(refused(&host, "/in/slowly", &[], "x").await.0, 429);
    assert_eq!(refused(&host, "/in/home", &[], "x").await.0, 403);
    let got = host.client.get(host.ingress(), "/in/open").await.expect("an answer");
    assert_eq!((got.status, got.header("allow")), (405, "POST"));

    let stats = host.api("stats").await.expect("stats");
    assert_eq!(stats["events"], 2, "only what was acknowledged is there");
    host.counted(&["hookwright_ingress_refused_total{source=\"hub\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_and_slow_requests_do_not_hold_the_host() {
    let host = HostBuilder::new(SETTINGS).start().await;
    // A thousand that never end their headers.
    let mut slow = Vec::new();
    for _ in 0..1_000 {
        let mut stream = TcpStream::connect(host.ingress()).await.expect("a connection");
        stream.write_all(b"POST /in/open HTTP/1.1\r\nhost: x\r\nx-slow: ").await.expect("a write");
        slow.push(stream);
    }
    let posted = within(
        "a good client is served meanwhile",
        Duration::from_secs(2),
        host.client.post(host.ingress(), "/in/open", &[], "fine"),
    );
    assert_eq!(posted.await.expect("an answer").status, 202);
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let _ = within("a slow client is cut off", Duration::from_secs(20), ended).await;
    }
    // One that promises more than it sends.
    let mut stream = TcpStream::connect(host.ingress()).await.expect("a connection");
    let head = b"POST /in/open HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nshort";
    stream.write_all(head).await.expect("a write");
    stream.shutdown().await.expect("a shutdown");
    let mut answer = Vec::new();
    let _ = within("an answer", Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    assert!(!String::from_utf8_lossy(&answer).contains(" 202 "), "half an event is none");
    assert_eq!(host.api("stats").await.expect("stats")["events"], 1);
}

/// "An event for a disabled or unknown destination is kept."
#[tokio::test(flavor = "multi_thread")]
async fn a_gone_destination_is_disabled_and_its_events_are_kept() {
    let gone = Receiver::scripted(|_, _| hookwright_tests::Answer::status(410)).await;
    let settings = format!(
        "[sources.open]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"gone\"]\n\
         [destinations.gone]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        gone.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    let first = host.client.post(host.ingress(), "/in/open", &[], "1").await.expect("an answer");
    eventually("the destination is disabled", Duration::from_secs(10), || async {
        let list = host.api("destinations").await.ok()?;
        list["destinations"][0]["disabled"].is_string().then_some(())
    })
    .await;
    let second = host.client.post(host.ingress(), "/in/open", &[], "2").await.expect("an answer");
    let row = eventually("the second is routed", Duration::from_secs(10), || async {
        let event = host.api(&format!("events/{}", second.id())).await.ok()?;
        (event["state"] == "routed").then_some(event)
    })
    .await;
    assert_eq!(row["deliveries"][0]["state"], "waiting", "kept");
    let dead = host.api(&format!("events/{}", first.id())).await.expect("the first");
    assert_eq!(dead["deliveries"][0]["state"], "dead");
    assert_eq!(gone.count(), 1, "nothing more is sent to it");
}
