//! The admin API: its document holds what it does, tokens open what their scopes say, and changes are written down.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Posted, Receiver, eventually};
use http::Method;
use serde_json::{Value, json};

const ADMIN: &str = "an admin's token of the tests";
const REPLAY: &str = "a replayer's token of the tests";
const READ: &str = "a reader's token of the tests";

fn settings(receiver: &Receiver) -> String {
    use sha2::Digest as _;
    let hash = hex(&sha2::Sha256::digest(READ));
    format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n\
         [admin.tokens.boss]\ntoken = \"env:BOSS\"\nscope = \"admin\"\n\
         [admin.tokens.support]\ntoken = \"dangerous_plain:{REPLAY}\"\nscope = \"replay\"\n\
         [admin.tokens.dashboard]\ntoken = \"sha256:{hash}\"\nscope = \"read\"\n\
         [sources.shop]\nverify = {{ scheme = \"none\" }}\nkind = \"json:/type\"\n\
         destinations = [\"ci\"]\n\
         [sources.signed]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:x\"] }}\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        receiver.url()
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn host(receiver: &Receiver) -> Host {
    HostBuilder::new(&settings(receiver)).env("BOSS", ADMIN).start().await
}

async fn ask(host: &Host, token: &str, method: Method, path: &str, body: &str) -> Posted {
    let authorization = format!("Bearer {token}");
    let headers = [("authorization", authorization.as_str())];
    let path = format!("/api/v1/{path}");
    let body = body.to_owned().into();
    host.client.ask(method, host.admin(), &path, &headers, body).await.expect("an answer")
}

async fn get(host: &Host, path: &str) -> Value {
    let answer = ask(host, ADMIN, Method::GET, path, "").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.json());
    answer.json()
}

async fn post_event(host: &Host, body: &str) -> String {
    let headers = [("content-type", "application/json")];
    let posted = host.client.post(host.ingress(), "/in/shop", &headers, body.to_owned()).await;
    posted.expect("an answer").id()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_scope_says_and_changes_are_written_down() {
    let receiver = Receiver::good().await;
    let mut host = host(&receiver).await;
    let id = post_event(&host, r#"{"type":"paid"}"#).await;
    let replay = format!("events/{id}/replay");
    for (token, path, method, status) in [
        ("", "events", Method::GET, 401),
        ("some other token of that length", "events", Method::GET, 401),
        (READ, "events", Method::GET, 200),
        (READ, replay.as_str(), Method::POST, 403),
        (READ, "audit", Method::GET, 403),
        (REPLAY, replay.as_str(), Method::POST, 200),
        (REPLAY, "destinations/ci/disable", Method::POST, 403),
        (ADMIN, "destinations/ci/disable", Method::POST, 200),
        (ADMIN, "destinations/ci/enable", Method::POST, 200),
        (ADMIN, "destinations/none/enable", Method::POST, 404),
    ] {
        let answer = ask(&host, token, method, path, "").await;
        assert_eq!(answer.status, status, "{path} {}", answer.json());
        if status == 403 {
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.contains("this needs"), "{detail}");
        }
    }
    let metrics = host.client.get(host.admin(), "/metrics").await.expect("an answer");
    assert_eq!(metrics.status, 401);
    let own = ask(&host, READ, Method::GET, "access", "").await.json();
    assert_eq!((&own["name"], &own["scope"]), (&json!("dashboard"), &json!("read")));

    // Who, what and how it ended, still there after the process was killed.
    host.kill();
    host.launch().await;
    let audit = get(&host, "audit?limit=3").await;
    let told: Vec<_> = audit["audit"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["who"].clone(), one["path"].clone(), one["status"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!("boss"), json!("/destinations/none/enable"), json!(404)),
            (json!("boss"), json!("/destinations/ci/enable"), json!(200)),
            (json!("boss"), json!("/destinations/ci/disable"), json!(200)),
        ]
    );
    let rest = get(&host, &format!("audit?before={}&who=support", audit["next"])).await;
    assert_eq!(rest["audit"].as_array().map(Vec::len), Some(2), "{rest}");
    let from = rest["audit"][0]["from"].as_str().expect("an address");
    assert!(from.starts_with("127.0.0.1"), "{from}");
    let file = std::fs::read_to_string(host.dir().join("data/audit.jsonl")).expect("the log");
    assert!(!file.contains(ADMIN) && !file.contains(REPLAY), "no token is written down");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_from_the_settings_opens_nothing_any_more() {
    let receiver = Receiver::good().await;
    let host = host(&receiver).await;
    assert_eq!(ask(&host, READ, Method::GET, "stats", "").await.status, 200);
    let path = host.dir().join("hookwright.toml");
    let text = std::fs::read_to_string(&path).expect("the settings");
    let begin = text.find("[admin.tokens.dashboard]").expect("the token");
    let end = text.find("[sources.shop]").expect("what follows");
    std::fs::write(&path, format!("{}{}", &text[..begin], &text[end..])).expect("a write");
    host.hang_up();
    eventually("the token is gone", Duration::from_secs(10), || async {
        (ask(&host, READ, Method::GET, "stats", "").await.status == 401).then_some(())
    })
    .await;
    let audit = get(&host, "audit?who=settings").await;
    assert_eq!(audit["audit"][0]["action"], "reload");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_found_by_text_and_followed_without_a_gap() {
    let receiver = Receiver::good().await;
    let host = host(&receiver).await;
    let start = get(&host, "feed").await["position"].as_str().expect("a position").to_owned();
    let mut ids = Vec::new();
    for number in 0..25 {
        let body = format!(r#"{{"type":"paid","order":"number-{number}"}}"#);
        ids.push(post_event(&host, &body).await);
    }
    let found = get(&host, "events?text=number-7%22").await;
    assert_eq!(found["events"][0]["id"], ids[7].as_str());
    assert_eq!(found["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(found["searched"], json!({ "events": 25, "complete": true }));
    let part = get(&host, "events?text=number-&limit=10").await;
    assert_eq!(part["searched"]["complete"], false);
    let rest = format!("events?text=number-&limit=100&before={}", part["next"].as_str().unwrap());
    assert_eq!(get(&host, &rest).await["events"].as_array().map(Vec::len), Some(15));

    let (mut position, mut seen) = (start, Vec::new());
    while seen.len() < ids.len() {
        let page = get(&host, &format!("feed?limit=10&wait_s=5&after={position}")).await;
        position = page["position"].as_str().expect("a position").to_owned();
        let events = page["events"].as_array().expect("a list").iter();
        seen.extend(events.map(|one| one["id"].as_str().unwrap().to_owned()));
    }
    assert_eq!(seen, ids);
    // One that waits is answered by the event that comes.
    let path = format!("feed?wait_s=20&after={position}");
    let (page, id) = tokio::join!(get(&host, &path), post_event(&host, "{}"));
    assert_eq!(page["events"][0]["id"], id.as_str());

    eventually("all are delivered", Duration::from_secs(10), || async {
        let stats = get(&host, "deliveries?state=delivered&limit=100").await;
        stats["deliveries"].as_array().is_some_and(|all| all.len() == 26).then_some(())
    })
    .await;
    let deliveries = get(&host, "deliveries?destination=ci&state=delivered&limit=20").await;
    assert_eq!(deliveries["deliveries"].as_array().map(Vec::len), Some(20));
    let older = format!("deliveries?limit=20&before={}", deliveries["next"].as_str().unwrap());
    assert_eq!(get(&host, &older).await["deliveries"].as_array().map(Vec::len), Some(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_tells_what_a_replay_would_do_and_does_nothing() {
    let receiver = Receiver::good().await;
    let text = format!(
        "[sources.github]\nverify = {{ scheme = \"none\" }}\nkind = \"header:x-github-event\"\n\
         plugins = [\"thin-github\"]\ndestinations = [\"ci\"]\n\
         [plugins.thin-github]\nheaders = [\"x-github-event\"]\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
        receiver.url()
    );
    let host = HostBuilder::new(&text).plugin("thin-github").start().await;
    let push = include_str!("../../host/samples/github-push.json");
    let headers = [("content-type", "application/json"), ("x-github-event", "push")];
    let posted = host.client.post(host.ingress(), "/in/github", &headers, push).await;
    let id = posted.expect("an answer").id();
    host.settled(Duration::from_secs(10)).await;
    let path = format!("/api/v1/events/{id}/preview");
    let preview = host.client.post(host.admin(), &path, &[], "").await.expect("an answer").json();
    assert_eq!(preview["state"], "routed", "{preview}");
    assert_eq!(preview["rulings"][0]["decision"], "amend", "{preview}");
    let event = host.api(&format!("events/{id}")).await.expect("the event");
    assert_eq!(preview["deliveries"][0]["destination"], "ci");
    let changed = |value: &Value| value["deliveries"][0]["changed"]["body"].clone();
    assert_eq!(changed(&preview), changed(&event));
    assert_eq!((event["replays"].clone(), receiver.count()), (json!(0), 1));
}

/// A run of Schemathesis over every operation that ends: requests that fit the
/// document and requests that do not, and every answer held against it.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_does_what_its_document_says() {
    let receiver = Receiver::good().await;
    let host = host(&receiver).await;
    let mut id = String::new();
    for number in 0..3 {
        id = post_event(&host, &format!(r#"{{"type":"paid","number":{number}}}"#)).await;
    }
    let replay = r#"{"filter":{"since":0},"rate":1}"#;
    assert_eq!(ask(&host, ADMIN, Method::POST, "replays", replay).await.status, 202);
    let bad = host.client.post(host.ingress(), "/in/signed", &[], "{}").await.expect("an answer");
    assert_eq!(bad.status, 401);
    let tool = root().join("target/tools/schemathesis/bin/schemathesis");
    assert!(tool.exists(), "{} is missing: run `make test`, which installs it", tool.display());
    let document = format!("http://{}/openapi.json", host.admin());
    // With ids that there are, or most requests would find nothing.
    let config = std::fs::read_to_string(root().join("tests/schemathesis.toml")).expect("a file");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("schemathesis.toml");
    std::fs::write(&file, config.replace("EVENT", &id).replace("TOKEN", ADMIN)).expect("a write");
    let run = move || {
        Command::new(tool)
            .arg("--config-file")
            .arg(file)
            .args(["run", &document])
            .current_dir(folder.path())
            .output()
            .expect("Schemathesis runs")
    };
    let done = tokio::task::spawn_blocking(run).await.expect("it ends");
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{out}\n{err}");
    // All but `stream`.
    let api = serde_json::to_value(hookwright_admin::openapi()).expect("a document");
    let paths = api["paths"].as_object().expect("paths").values();
    let all: usize = paths.map(|item| item.as_object().map_or(0, serde_json::Map::len)).sum();
    assert!(out.contains(&format!("Tested: {}", all - 1)), "{out}");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}
