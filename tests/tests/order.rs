//! Order: each destination that wants one gets its events in the order of acceptance, under failures and `kill -9`.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hookwright_tests::{Answer, HostBuilder, Receiver};

const SOURCES: [&str; 3] = ["red", "green", "blue"];

/// "FIFO per key, other keys go on while one waits; survives restarts and the in-memory hand-off."
///
/// The receiver refuses every third request. Of one source a later event never comes before an
/// earlier one has ended, however often the host is killed; a repeated one is no offence.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_source_arrive_in_the_order_of_acceptance() {
    let receiver =
        Receiver::scripted(|number, _| Answer::status(if number % 3 == 2 { 500 } else { 204 }))
            .await;
    let mut settings = format!(
        "[destinations.in-order]\nurl = \"{}\"\nallow_private = true\norder = \"source\"\n\
         retry = {{ base = \"20ms\", factor = 1 }}\nbreaker = {{ attempts = 0 }}\n",
        receiver.url()
    );
    for source in SOURCES {
        settings.push_str(&format!(
            "[sources.{source}]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"in-order\"]\n"
        ));
    }
    let mut host = HostBuilder::new(&settings).start().await;
    let mut accepted = 0;
    for round in 0..3 {
        let posts = SOURCES.map(|source| {
            let (client, ingress) = (host.client.clone(), host.ingress());
            tokio::spawn(async move {
                for number in 0..40 {
                    let body = format!("{source} {}", round * 40 + number);
                    let path = format!("/in/{source}");
                    let answer = client.post(ingress, &path, &[], body).await.expect("an answer");
                    assert_eq!(answer.status, 202);
                }
            })
        });
        for post in posts {
            post.await.expect("all are accepted");
        }
        accepted += 3 * 40;
        if round < 2 {
            host.kill();
            host.launch().await;
        }
    }
    host.settled(Duration::from_secs(60)).await;

    let came = receiver.received();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    let mut distinct = BTreeSet::new();
    for one in &came {
        let body = std::str::from_utf8(&one.body).expect("text");
        let (source, number) = body.split_once(' ').expect("source and number");
        let number: usize = number.parse().expect("a number");
        let before = last.insert(source, number).unwrap_or(0);
        assert!(number == before || number == before + 1, "{source}: {number} after {before}");
        distinct.insert(body);
    }
    assert_eq!(distinct.len(), accepted);
    assert!(came.len() > accepted, "some were refused and tried again");
}
