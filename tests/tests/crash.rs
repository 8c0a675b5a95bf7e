//! Promises 1 and 3 under `kill -9`, and the orderly stop.
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually};

const ROUNDS: usize = 10;

fn settings(receiver: &Receiver) -> String {
    format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\n\
         destinations = [\"sink\"]\n\
         dedupe = {{ key = \"header:x-delivery\", window = \"1h\" }}\n\
         [plugins.filter]\n\
         config = {{ drop = [{{ field = \"kind\", equals = \"noise\" }}] }}\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nin_flight = 16\n\
         sign = {{ scheme = \"none\" }}\nretry = {{ base = \"50ms\", cap = \"1s\" }}\n",
        receiver.url()
    )
}

/// "Durable before 2xx. The source gets its 2xx only after the event is on disk.
/// `kill -9` at any instant loses no acknowledged event." and "At least once,
/// recognisable. A retry, a replay or a recovery after a crash repeats the same
/// `webhook-id`."
#[tokio::test(flavor = "multi_thread")]
async fn kill_at_any_instant_loses_no_acknowledged_event() {
    let receiver = Receiver::good().await;
    let mut host = HostBuilder::new(&settings(&receiver)).plugin("filter").start().await;
    // What the client knows: delivery number → the id that was acknowledged.
    let acknowledged: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    for round in 0..ROUNDS {
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..16 {
            let (http, address) = (host.client.clone(), host.ingress());
            let acknowledged = acknowledged.clone();
            clients.spawn(async move {
                for number in 0.. {
                    let key = format!("{round}-{client}-{number}");
                    let headers = [("x-delivery", key.as_str()), ("content-type", "text/plain")];
                    let body = format!("body of {key}");
                    match http.post(address, "/in/shop", &headers, body).await {
                        Ok(posted) if posted.status == 202 => {
                            acknowledged.lock().expect("no holder panics").insert(key, posted.id());
                        }
                        // The host is gone, in the middle of this request.
                        _ => return,
                    }
                }
            });
        }
        // Not a round number of anything: the kill falls where it falls.
        let before = acknowledged.lock().expect("no holder panics").len();
        let goal = before + 37 + 61 * round;
        eventually("some events are acknowledged", Duration::from_secs(30), || async {
            (acknowledged.lock().expect("no holder panics").len() >= goal).then_some(())
        })
        .await;
        host.kill();
        while clients.join_next().await.is_some() {}
        host.launch().await;
    }

    host.settled(Duration::from_secs(60)).await;
    let acknowledged = acknowledged.lock().expect("no holder panics").clone();
    let mut bodies: HashMap<String, HashSet<Vec<u8>>> = HashMap::new();
    for got in receiver.received() {
        let id = got.header("webhook-id").to_owned();
        bodies.entry(id).or_default().insert(got.body.to_vec());
    }
    let missing: Vec<_> = acknowledged.iter().filter(|(_, id)| !bodies.contains_key(*id)).collect();
    assert!(missing.is_empty(), "acknowledged and not delivered: {}", told(&host, &missing).await);
    for (key, id) in &acknowledged {
        let got = &bodies[id];
        let expected = HashSet::from([format!("body of {key}").into_bytes()]);
        assert_eq!(got, &expected, "every copy of {id} is the same event");
    }
    // A provider that never saw its answer sends again: the first id comes back.
    for (key, id) in acknowledged.iter().take(50) {
        let again = host
            .client
            .post(host.ingress(), "/in/shop", &[("x-delivery", key.as_str())], "again")
            .await
            .expect("an answer");
        assert_eq!(
            (again.status, again.id()),
            (200, id.clone()),
            "a duplicate is known after a crash"
        );
    }
}

/// What the host knows of each: one that it does not know is lost, one that
/// waits was not waited for.
async fn told(host: &Host, missing: &[(&String, &String)]) -> String {
    let mut told = Vec::new();
    for (key, id) in missing {
        let known = match host.api(&format!("events/{id}")).await {
            Ok(event) => format!("{} with {}", event["state"], event["deliveries"]),
            Err(error) => format!("unknown: {error:#}"),
        };
        told.push(format!("{key} ({id}) is {known}"));
    }
    told.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_stop_loses_and_repeats_nothing() {
    let receiver = Receiver::good().await;
    let mut host = HostBuilder::new(&settings(&receiver)).plugin("filter").start().await;
    let mut ids = HashSet::new();
    for _ in 0..5 {
        for number in 0..40 {
            let body = format!("event {number}");
            let posted = host.client.post(host.ingress(), "/in/shop", &[], body).await;
            ids.insert(posted.expect("an answer").id());
        }
        assert_eq!(host.terminate().await, Some(0), "a clean stop");
        host.launch().await;
    }
    host.settled(Duration::from_secs(30)).await;
    let got: Vec<String> =
        receiver.received().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(got.len(), ids.len(), "each event once");
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), ids);
}
