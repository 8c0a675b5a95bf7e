//! What strangers and plugins may choose makes no metrics: a series for each value would be without bound.
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, hostile};

async fn series(host: &Host) -> Vec<String> {
    let page = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let page = String::from_utf8_lossy(&page.body).into_owned();
    let names = page.lines().filter(|line| !line.starts_with('#'));
    names.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
}

/// Names of sources, paths, kinds, keys, ids, methods, content types, and the destinations
/// that a plugin chooses.
#[tokio::test(flavor = "multi_thread")]
async fn regression_what_outsiders_choose_makes_no_series() {
    const ROUNDS: usize = 60;
    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nkind = \"header:x-kind\"\n\
         dedupe = {{ key = \"header:x-key\", window = \"1h\" }}\nplugins = [\"raw-verdict\"]\n\
         destinations = [\"sink\"]\n[plugins.raw-verdict]\nquarantine = {{ calls = 0 }}\n\
         [sources.plain]\nverify = {{ scheme = \"none\" }}\nkind = \"header:x-kind\"\ndestinations = [\"sink\"]\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        sink.url()
    );
    let host =
        HostBuilder::new(&settings).file("raw-verdict.wasm", &hostile("raw-verdict")).start().await;
    let mut counts = Vec::new();
    let mut number = 0;
    for rounds in [10, ROUNDS] {
        for _ in 0..rounds {
            number += 1;
            let value = format!("v{number}x");
            let kind = format!("type/{value}");
            let headers = [
                ("x-kind", value.as_str()),
                ("x-key", &value),
                ("content-type", &kind),
                ("webhook-id", &value),
            ];
            for path in [
                "/in/plain".to_owned(),
                format!("/in/{value}"),
                format!("/in/plain/{value}"),
                format!("/{value}"),
            ] {
                host.client.post(host.ingress(), &path, &headers, "x").await.expect("an answer");
            }
            let method = http::Method::from_bytes(value.as_bytes()).expect("a method");
            let asked = host.client.ask(method, host.ingress(), "/in/plain", &headers, "".into());
            asked.await.expect("an answer");
            // `deliver` with one delivery, to a destination of that name.
            let body = verdict(&value);
            host.client.post(host.ingress(), "/in/shop", &headers, body).await.expect("an answer");
        }
        host.settled(Duration::from_secs(60)).await;
        let series = series(&host).await;
        let strange = series.iter().find(|name| name.contains(&format!("v{number}x")));
        assert_eq!(strange, None);
        counts.push(series.len());
    }
    assert!(counts[1] <= counts[0] + 20, "{counts:?} series");
    let parked = host.api("events?state=parked&limit=1000").await.expect("events");
    let parked = parked["events"].as_array().map_or(0, Vec::len);
    assert_eq!(parked, number, "each event with an unknown destination is kept");
}

/// As the guest answers with it: laid out at 8192 by the canonical ABI.
fn verdict(destination: &str) -> Vec<u8> {
    const AT: u32 = 8_192;
    let mut bytes = Vec::new();
    let word = |bytes: &mut Vec<u8>, value: u32| bytes.extend_from_slice(&value.to_le_bytes());
    // ok, deliver, a list of one.
    for value in [0, 3, AT + 16, 1] {
        word(&mut bytes, value);
    }
    // The delivery, of 72 bytes; its name stands behind it.
    word(&mut bytes, AT + 16 + 72);
    word(&mut bytes, destination.len() as u32);
    bytes.resize(16 + 72, 0);
    bytes.extend_from_slice(destination.as_bytes());
    bytes
}
