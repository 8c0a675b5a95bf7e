//! Promise 7: a swap drops nothing.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hookwright_tests::{HostBuilder, Receiver, eventually, guest};

/// A second version of the same plugin: the same code with a custom section,
/// so another digest.
fn variant(bytes: &[u8], mark: u8) -> Vec<u8> {
    let mut out = bytes.to_vec();
    // Section 0 (custom), 3 bytes: a name of one letter and one byte of content.
    out.extend_from_slice(&[0, 3, 1, b'v', mark]);
    out
}

/// "A swap drops nothing. A new plugin version takes over between two events; a
/// bad one never replaces a good one; the version (digest) that handled an event
/// is recorded with it."
#[tokio::test(flavor = "multi_thread")]
async fn a_swap_every_100_ms_under_load_loses_nothing() {
    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.shop]\nverify = {{ scheme = \"none\" }}\nplugins = [\"pass\"]\n\
         destinations = [\"sink\"]\n\
         [plugins.pass]\n\
         [destinations.sink]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n\
         in_flight = 64\n",
        sink.url()
    );
    let original = guest("guests/pass");
    let host = HostBuilder::new(&settings).file("pass.wasm", &original).start().await;

    let done = Arc::new(AtomicBool::new(false));
    let (folder, flag) = (host.plugins(), done.clone());
    let swaps = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let mut count = 0u8;
        while !flag.load(Ordering::SeqCst) {
            ticks.tick().await;
            count = count.wrapping_add(1);
            // Every third one is bad: cut off in the middle.
            let bytes = match count % 3 {
                0 => original[..original.len() / 3].to_vec(),
                _ => variant(&original, count),
            };
            let new = folder.join("pass.wasm.new");
            std::fs::write(&new, bytes).expect("a write");
            std::fs::rename(&new, folder.join("pass.wasm")).expect("a rename");
        }
    });

    let mut clients = tokio::task::JoinSet::new();
    for client in 0..8 {
        let (http, address, done) = (host.client.clone(), host.ingress(), done.clone());
        clients.spawn(async move {
            let mut ids = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let body = format!("{client}-{}", ids.len());
                let posted = http.post(address, "/in/shop", &[], body).await.expect("an answer");
                assert_eq!(posted.status, 202);
                ids.push(posted.id());
            }
            ids
        });
    }
    eventually("five versions were active", Duration::from_secs(60), || async {
        (host.log().matches("took over").count() >= 6).then_some(())
    })
    .await;
    done.store(true, Ordering::SeqCst);
    swaps.await.expect("the swaps");
    let mut ids = Vec::new();
    while let Some(more) = clients.join_next().await {
        ids.extend(more.expect("a client"));
    }
    host.settled(Duration::from_secs(60)).await;

    let mut got: HashMap<String, usize> = HashMap::new();
    for request in sink.received() {
        *got.entry(request.header("webhook-id").to_owned()).or_default() += 1;
    }
    assert_eq!(got.len(), ids.len(), "nothing lost");
    assert!(got.values().all(|count| *count == 1), "nothing twice");
    let mut digests = HashSet::new();
    for id in ids.iter().step_by(ids.len() / 300 + 1) {
        let event = host.api(&format!("events/{id}")).await.expect("an event");
        assert_eq!(event["state"], "routed", "{event}");
        let verdicts = event["rulings"].as_array().expect("rulings");
        assert_eq!(verdicts.len(), 1);
        assert_eq!(verdicts[0]["decision"], "pass", "{event}");
        digests.extend(verdicts[0]["digest"].as_str().map(str::to_owned));
    }
    assert!(digests.len() >= 3, "several versions handled events, each recorded: {digests:?}");
}
