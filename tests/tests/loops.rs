//! An event that comes back by the host's own deliveries is stopped.
use std::time::Duration;

use hookwright_tests::{HostBuilder, Receiver, eventually};
use serde_json::Value;

const TIMES: usize = 3;

/// Two sources that send to each other over the host's own address, as a two-way sync does.
fn settings(address: std::net::SocketAddr, other: &Receiver) -> String {
    let to = |name: &str| {
        format!(
            "[sources.{name}]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"{name}\", \"other\"]\n\
             [destinations.{name}]\nurl = \"http://{address}/in/{name}\"\nallow_private = true\n"
        )
    };
    format!(
        "[ingress]\nlisten = \"{address}\"\nmax_hops = {TIMES}\n{}\
         [destinations.other]\nurl = \"{}\"\nallow_private = true\n",
        to("sync"),
        other.url()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_comes_back_is_stopped_at_the_limit_with_its_cause() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let other = Receiver::good().await;
    let host = HostBuilder::new(&settings(free.expect("a port"), &other)).start().await;
    let posted = host.client.post(host.ingress(), "/in/sync", &[], "round").await;
    assert_eq!(posted.expect("an answer").status, 202);
    let dead = eventually("the last round is given up", Duration::from_secs(30), || async {
        let events = host.api("events?delivery=dead").await.ok()?;
        events["events"].as_array()?.first().cloned()
    })
    .await;
    let id = dead["id"].as_str().expect("an id");
    let event: Value = host.api(&format!("events/{id}")).await.expect("the event");
    let mut all = event["deliveries"].as_array().expect("deliveries").iter();
    let delivery = all.find(|one| one["destination"] == "sync").expect("the loop's");
    assert_eq!(delivery["attempts"], 1, "{delivery}");
    let cause = delivery["cause"].as_str().expect("a cause");
    assert!(cause.contains("508") && cause.contains("loop"), "{cause}");
    let answer = delivery["log"][0]["answer"].as_str().expect("an answer");
    assert!(answer.contains("\"code\":\"loop\"") && answer.contains("through 3 of"), "{answer}");

    host.settled(Duration::from_secs(10)).await;
    let events = host.api("events").await.expect("events");
    assert_eq!(events["events"].as_array().map(Vec::len), Some(TIMES), "{events}");
    assert_eq!(other.count(), TIMES, "each round reached the other destination");
    host.counted(&["hookwright_ingress_refused_total{source=\"sync\",reason=\"loop\"} 1\n"]).await;

    // What somebody else wrote counts for nothing: no one can have another's events refused.
    let forged = [("hookwright-hops", "0011223344556677.3.00112233445566778899aabbccddeeff")];
    let posted = host.client.post(host.ingress(), "/in/sync", &forged, "forged").await;
    assert_eq!(posted.expect("an answer").status, 202);
}
