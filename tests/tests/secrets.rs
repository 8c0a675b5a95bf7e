//! Secrets that are sent and shown nowhere, on a running host.
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwright_tests::{Answer, HostBuilder, Receiver, eventually};

const DEADLINE: Duration = Duration::from_secs(60);

/// PagerDuty's `routing_key` and the secret path of a URL could be read by whoever
/// may only read: in events, in the list of destinations, in a backup.
#[tokio::test(flavor = "multi_thread")]
async fn regression_secrets_in_urls_and_alerts_are_sent_and_shown_nowhere() {
    const KEY: &str = "R0UT1NGk3y0123456789";
    const PATH: &str = "/services/T0SECRET/B0SECRET";
    let chat = Receiver::scripted(|_, _| Answer {
        status: 500,
        body: "Cannot POST /services/T0SECRET/B0SECRET",
        ..Answer::default()
    })
    .await;
    let pager = Receiver::scripted(|_, _| Answer {
        status: 202,
        body: "{\"for\":\"R0UT1NGk3y0123456789\"}",
        ..Answer::default()
    })
    .await;
    let settings = format!(
        "[log]\nlevel = \"trace\"\n\
         [sources.s]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"chat\"]\n\
         [destinations.chat]\nurl = \"env:CHAT\"\nallow_private = true\n\
         retry = {{ base = \"200ms\", cap = \"200ms\", attempts = 1000 }}\nbreaker = {{ attempts = 0 }}\n\
         [destinations.pager]\nurl = \"{}\"\nallow_private = true\n\
         [alerts]\npagerduty = {{ destinations = [\"pager\"], routing_key = \"env:KEY\" }}\n\
         every = \"1s\"\nhold = \"0s\"\nfailures = 3\ndisk_free = \"0B\"\n",
        pager.url()
    );
    let url = chat.url().replace("/hook", PATH);
    let host = HostBuilder::new(&settings).env("CHAT", &url).env("KEY", KEY).start().await;
    let posted = host.client.post(host.ingress(), "/in/s", &[], "x").await.expect("an answer");
    assert_eq!(posted.status, 202);
    eventually("the alert comes", DEADLINE, || async { (pager.count() > 0).then_some(()) }).await;
    let sent = String::from_utf8_lossy(&pager.received()[0].body).into_owned();
    assert!(sent.contains(&format!("\"routing_key\":\"{KEY}\"")), "{sent}");
    assert_eq!(chat.received()[0].path, PATH, "the URL is used as it is");

    let events = host.api("events?source=hookwright-pagerduty").await.expect("events");
    let id = events["events"][0]["id"].as_str().expect("an alert").to_owned();
    let mut shown = vec![("the list", events.to_string())];
    for id in [id.as_str(), &posted.id()] {
        eventually("its attempt is told", DEADLINE, || async {
            let event = host.api(&format!("events/{id}")).await.ok()?;
            (!event["deliveries"][0]["log"].as_array()?.is_empty()).then_some(())
        })
        .await;
        for path in [format!("events/{id}"), format!("events/{id}/body")] {
            let path = format!("/api/v1/{path}");
            let page = host.client.get(host.admin(), &path).await.expect("an answer");
            shown.push(("an event", String::from_utf8_lossy(&page.body).into_owned()));
        }
    }
    assert!(shown[1].1.contains("{routing_key}") || shown[2].1.contains("{routing_key}"));
    let destinations = host.api("destinations").await.expect("destinations");
    let address = chat.address();
    let chats = destinations["destinations"].as_array().expect("a list");
    let told = chats.iter().find(|one| one["name"] == "chat").expect("it is there");
    assert_eq!(told["url"], format!("http://{address}/…"));
    shown.push(("the destinations", destinations.to_string()));
    let page = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    shown.push(("the metrics", String::from_utf8_lossy(&page.body).into_owned()));
    let made = host.client.post(host.admin(), "/api/v1/backups", &[], r#"{"name": "first"}"#).await;
    assert_eq!(made.expect("an answer").status, 200);
    for args in [
        &["events"][..],
        &["events", &id],
        &["events", &posted.id()],
        &["destinations"],
        &["check"],
        &["doctor"],
    ] {
        let (_, out, err) = host.run(args);
        shown.push(("a command", out + &err));
    }
    shown.push(("the log", host.log()));
    for (what, text) in shown {
        assert!(!text.contains(KEY) && !text.contains("SECRET"), "in {what}: {text}");
    }
    for secret in [KEY, "T0SECRET"] {
        let files = holding(host.dir(), secret.as_bytes());
        assert!(files.is_empty(), "the store or its backup holds {secret}: {files:?}");
    }
}

/// The files below that hold the bytes; there must be some at all.
fn holding(dir: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![dir.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 1, "{files:?}");
    let read = |path: &PathBuf| std::fs::read(path).unwrap_or_default();
    let holds = |file: Vec<u8>| file.windows(bytes.len()).any(|window| window == bytes);
    files.into_iter().filter(|path| holds(read(path))).collect()
}
