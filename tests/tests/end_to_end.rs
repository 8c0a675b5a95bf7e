//! The main job on real sockets: many clients, two plugins, three destinations of different tempers.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hookwright_tests::{Answer, Host, HostBuilder, Receiver, is_signed, within};

const EVENTS: usize = 10_000;
const CLIENTS: usize = 64;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A content type and bytes that a careless router would change.
fn bodies() -> Vec<(&'static str, Bytes)> {
    vec![
        (
            "application/json",
            Bytes::from_static(
                b"{ \"big\" : 123456789012345678901234567890, \"z\":1.10,\n\t\"a\": 1e400, \"a\": \"\\u00e9\" }",
            ),
        ),
        (
            "application/xml; charset=iso-8859-1",
            Bytes::from_static(b"<?xml version=\"1.0\"?>\r\n<a  b='1'>\xe9</a>\n"),
        ),
        ("application/x-www-form-urlencoded", Bytes::from_static(b"a=1&b=%20+x&&c")),
        ("application/octet-stream", (0..=255u8).cycle().take(2_000).collect()),
        ("", Bytes::new()),
    ]
}

fn settings(fine: &Receiver, slow: &Receiver, flaky: &Receiver) -> String {
    let destination = |name: &str, receiver: &Receiver, more: &str| {
        format!(
            "[destinations.{name}]\nurl = \"{}\"\nallow_private = true\n\
             sign = {{ scheme = \"standard\", secrets = [\"dangerous_plain:{SECRET}\"] }}\n\
             retry = {{ base = \"20ms\", cap = \"200ms\", attempts = 60 }}\n{more}\n",
            receiver.url()
        )
    };
    format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nkind = \"header:x-kind\"\n\
         plugins = [\"filter\", \"route\"]\n\
         [plugins.filter]\nheaders = [\"x-kind\"]\n\
         config = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [plugins.route]\n\
         config = {{ rules = [{{ to = [\"fine\", \"slow\", \"flaky\"] }}] }}\n{}{}{}",
        destination("fine", fine, "in_flight = 32"),
        destination("slow", slow, "in_flight = 128"),
        destination("flaky", flaky, "in_flight = 32"),
    )
}

/// Posts `count` events from `CLIENTS` clients: event id → number of its body.
async fn flood(host: &Host, count: usize) -> HashMap<String, usize> {
    let bodies = Arc::new(bodies());
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (http, address, bodies) = (host.client.clone(), host.ingress(), bodies.clone());
        clients.spawn(async move {
            let mut ids = Vec::new();
            for number in (client..count).step_by(CLIENTS) {
                let (kind, body) = &bodies[number % bodies.len()];
                let headers = [("x-kind", "sale"), ("content-type", kind)];
                let headers = if kind.is_empty() { &headers[..1] } else { &headers[..] };
                let posted = http.post(address, "/in/shop", headers, body.clone()).await;
                let posted = posted.expect("an answer");
                assert_eq!(posted.status, 202, "{}", String::from_utf8_lossy(&posted.body));
                ids.push((posted.id(), number % bodies.len()));
            }
            ids
        });
    }
    let mut all = HashMap::new();
    while let Some(ids) = clients.join_next().await {
        all.extend(ids.expect("a client that does not panic"));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_events_through_two_plugins_to_three_destinations() {
    let fine = Receiver::good().await;
    let slow = Receiver::scripted(|_, _| Answer {
        delay: Duration::from_millis(20),
        ..Answer::status(200)
    })
    .await;
    let flaky =
        Receiver::scripted(|number, _| Answer::status(if number % 2 == 0 { 500 } else { 204 }))
            .await;
    let mut host = HostBuilder::new(&settings(&fine, &slow, &flaky))
        .plugin("filter")
        .plugin("route")
        .start()
        .await;

    let ids = within("all are accepted", Duration::from_secs(120), flood(&host, EVENTS)).await;
    assert_eq!(ids.len(), EVENTS, "every event has an id of its own");
    let noise = host.client.post(host.ingress(), "/in/shop", &[("x-kind", "noise")], "x").await;
    let noise = noise.expect("an answer").id();
    host.settled(Duration::from_secs(180)).await;

    let bodies = bodies();
    for (name, receiver) in [("fine", &fine), ("slow", &slow), ("flaky", &flaky)] {
        let mut delivered = HashSet::new();
        for got in receiver.received() {
            let id = got.header("webhook-id").to_owned();
            let body = *ids.get(&id).unwrap_or_else(|| panic!("{name} got an unknown id {id}"));
            let (kind, bytes) = &bodies[body];
            assert_eq!(got.body, bytes, "{name}: the body of {id} changed");
            assert_eq!(got.header("content-type"), *kind, "{name}: the type of {id} changed");
            assert!(is_signed(&got, SECRET), "{name}: the signature of {id}");
            let success = (200..300).contains(&got.status);
            if success {
                assert!(delivered.insert(id), "{name} got a second delivery after a success");
            }
        }
        assert_eq!(delivered.len(), EVENTS, "{name}: every event is delivered");
    }
    assert_eq!(fine.count(), EVENTS, "no duplicates at the fine one");
    assert!(
        fine.connections() * 100 <= EVENTS,
        "{} connections for {EVENTS} deliveries: reuse below 0.99",
        fine.connections()
    );

    let dropped = host.api(&format!("events/{noise}")).await.expect("the dropped event");
    assert_eq!(dropped["state"], "dropped");
    let one = ids.keys().next().expect("an event");
    let shown = host.api(&format!("events/{one}")).await.expect("an event");
    let verdicts = shown["rulings"].as_array().expect("rulings");
    assert_eq!(verdicts.len(), 2);
    assert!(
        verdicts.iter().all(|verdict| verdict["digest"].as_str().is_some_and(|d| d.len() == 64))
    );
    assert_eq!(host.terminate().await, Some(0), "a clean stop");
}
