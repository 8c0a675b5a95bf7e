//! Who may post, on a running host: tokens, certificates that change, and keys that come at the same time.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwright_tests::{Client, Host, HostBuilder, Receiver, eventually};
use tokio::task::JoinSet;

const DEADLINE: Duration = Duration::from_secs(20);

async fn metrics(host: &Host) -> String {
    let page = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    String::from_utf8_lossy(&page.body).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_the_source_and_is_shown_nowhere() {
    const TOKEN: &str = "vD2sPq9zT4hWm1kR8xYb";
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let settings = format!(
        "[log]\nlevel = \"trace\"\n[ingress]\nlisten = \"{}\"\n\
         [sources.s]\nverify = {{ scheme = \"none\" }}\ntokens = [\"env:OLD\", \"env:NEW\"]\n",
        free.expect("a port")
    );
    let builder = HostBuilder::new(&settings).env("OLD", "0123456789abcdef").env("NEW", TOKEN);
    let host = builder.start().await;
    let right = format!("/in/s/{TOKEN}");
    let posted = host.client.post(host.ingress(), &right, &[], "x").await.expect("an answer");
    assert_eq!(posted.status, 202);
    for path in ["/in/s", "/in/s/0123456789abcdeg", &format!("{right}x"), &format!("/in/t/{TOKEN}")]
    {
        let refused = host.client.post(host.ingress(), path, &[], "x").await.expect("an answer");
        assert_eq!((refused.status, refused.code()), (404, "unknown-source".into()), "{path}");
    }
    let (code, out, err) = host.run(&["send", "s"]);
    assert_eq!(code, 0, "{out}{err}");
    let sources = host.api("sources").await.expect("sources").to_string();
    assert!(sources.contains("/in/s/TOKEN"), "{sources}");
    let event = host.api(&format!("events/{}", posted.id())).await.expect("the event").to_string();
    for (what, text) in [
        ("the log", host.log()),
        ("the metrics", metrics(&host).await),
        ("the API", sources + &event),
        ("the commands", out + &err),
    ] {
        assert!(!text.contains(TOKEN), "a token in {what}: {text}");
    }
}

/// Proxies keep the URL that they were asked for in headers of their own, and some in more than one; through those, and
/// through `/in/s%2FTOKEN`, a token stood in the API's answers, in the log, and before plugins.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_token_in_a_header_of_a_proxy_is_kept_and_shown_nowhere() {
    const TOKEN: &str = "vD2sPq9zT4hWm1kR8xYb";
    const OTHER: &str = "another.source~s-t0ken";
    let receiver = Receiver::good().await;
    let settings = format!(
        "[log]\nlevel = \"trace\"\n\
         [sources.s]\nverify = {{ scheme = \"none\" }}\ntokens = [\"env:TOKEN\"]\ndestinations = [\"out\", \"lines\"]\n\
         kind = \"header:x-kind\"\nplugins = [\"thin-github\"]\n\
         [sources.signed]\nverify = {{ scheme = \"github\", secrets = [\"env:OTHER\"] }}\ntokens = [\"env:OTHER\"]\n\
         [sources.bin]\nbin = true\n\
         [plugins.thin-github]\nheaders = [\"x-original-url\", \"referer\"]\n\
         [destinations.out]\nurl = \"{}\"\nallow_private = true\n\
         [destinations.lines]\nfile = {{ path = \"lines.jsonl\" }}\n",
        receiver.url()
    );
    let builder = HostBuilder::new(&settings).env("TOKEN", TOKEN).env("OTHER", OTHER);
    let host = builder.plugin("thin-github").start().await;
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let urls: Vec<String> = [TOKEN, OTHER]
        .iter()
        .flat_map(|token| {
            let url = format!("https://hooks.example.com/in/s/{token}?a=1");
            let (once, twice) = (encode(token), encode(&encode(token)));
            [url.clone(), url.replace('/', "%2f"), format!("/in/s/{once}"), format!("x={twice}")]
        })
        .collect();
    let names = [
        "x-original-url",
        "x-original-uri",
        "x-rewrite-url",
        "x-forwarded-uri",
        "x-forwarded-path",
        "x-forwarded-prefix",
        "x-envoy-original-path",
        "x-waf-event",
        "x-request-uri",
        "x-url",
        "referer",
        "forwarded",
        "origin",
        "x-kind",
        "via",
        "x-sent-by",
        "x-amzn-trace-id",
        "x-whatever-comes-next",
    ];
    let mut ids = Vec::new();
    for url in &urls {
        let headers: Vec<(&str, &str)> = names.iter().map(|name| (*name, url.as_str())).collect();
        let long = format!("{}{url}", "y".repeat(250));
        let cut = [("x-long", long.as_str())];
        let body = format!("{}{url}", "z".repeat(500));
        for path in [
            format!("/in/s/{TOKEN}"),
            format!("/in/bin?back={url}"),
            format!("/in/s%2F{TOKEN}"),
            format!("/in/s%2f{}", encode(TOKEN)),
            format!("/in//s/{TOKEN}"),
            format!("/in/s/{TOKEN}/"),
            format!("/IN/s/{TOKEN}"),
            format!("/{TOKEN}"),
            format!("/in/{TOKEN}/s"),
            format!("/in/signed/{OTHER}"),
            format!("/in/s/wrong?{TOKEN}"),
        ] {
            for headers in [headers.as_slice(), &cut] {
                let posted = host.client.post(host.ingress(), &path, headers, body.clone()).await;
                let posted = posted.expect("an answer");
                let answer = String::from_utf8_lossy(&posted.body).into_owned();
                assert!(!answer.contains(TOKEN) && !answer.contains(OTHER), "{answer}");
                if posted.status == 202 {
                    ids.push(posted.id());
                }
            }
        }
    }
    assert_eq!(ids.len(), urls.len() * 4, "those to `s` and to the bin");
    host.settled(DEADLINE).await;
    let mut shown = Vec::new();
    for id in &ids {
        shown.push(host.api(&format!("events/{id}")).await.expect("the event").to_string());
    }
    for path in [
        "events",
        "sources",
        "sources/s/rejected",
        "sources/signed/rejected",
        "sources/-/rejected",
        "deliveries",
    ] {
        shown.push(host.api(path).await.expect("an answer").to_string());
    }
    for received in receiver.received() {
        shown.push(format!("{:?}", received.headers));
    }
    let lines = std::fs::read_to_string(host.dir().join("lines.jsonl")).expect("the lines");
    for line in lines.lines() {
        let mut line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["body"].take();
        shown.push(line.to_string());
    }
    shown.push(metrics(&host).await);
    shown.push(host.log());
    let all: Vec<String> = [TOKEN, OTHER]
        .iter()
        .flat_map(|token| {
            let (once, twice) = (encode(token), encode(&encode(token)));
            [(*token).to_owned(), once.to_lowercase(), once, twice.to_lowercase(), twice]
        })
        .collect();
    for text in &shown {
        let found = all.iter().find(|token| text.contains(*token));
        assert_eq!(found, None, "a token is in {text}");
    }
}

/// The same of a key that stands in the query, or in a header of a scheme's own.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_key_that_a_request_carries_is_kept_and_shown_nowhere() {
    const KEY: &str = "k3y/of+the one&only";
    const TOKEN: &str = "gl-s3cret";
    let settings = "[log]\nlevel = \"trace\"\n\
         [sources.keyed]\nverify = { scheme = \"api-key\", query = \"key\", secrets = [\"env:KEY\"] }\n\
         [sources.gitlab]\nverify = { scheme = \"gitlab\", secrets = [\"env:TOKEN\"] }\n\
         [sources.bin]\nbin = true\n";
    let host = HostBuilder::new(settings).env("KEY", KEY).env("TOKEN", TOKEN).start().await;
    let encoded: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let url = format!("/in/keyed?key={encoded}&a=1");
    let copied = [
        ("x-original-url", url.as_str()),
        ("x-plain", KEY),
        ("x-forwarded-token", TOKEN),
        ("x-gitlab-token", TOKEN),
    ];
    let mut shown = Vec::new();
    for (path, status) in [
        (url.as_str(), 202),
        ("/in/keyed?key=wrong", 401),
        ("/in/gitlab", 202),
        ("/in/bin", 202),
        ("/in/none", 404),
    ] {
        let posted =
            host.client.post(host.ingress(), path, &copied, "{}").await.expect("an answer");
        assert_eq!(posted.status, status, "{path}");
        if status == 202 {
            shown.push(
                host.api(&format!("events/{}", posted.id())).await.expect("the event").to_string(),
            );
        }
    }
    for source in ["keyed", "gitlab", "-"] {
        shown.push(
            host.api(&format!("sources/{source}/rejected")).await.expect("a list").to_string(),
        );
    }
    shown.push(host.log());
    for text in &shown {
        let found = [KEY, TOKEN, &encoded].into_iter().find(|secret| text.contains(*secret));
        assert_eq!(found, None, "a key is in {text}");
    }
    assert!(shown[0].contains("TOKEN"), "{}", shown[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_is_shown_to_the_operator() {
    let settings = "[sources.hub]\nverify = { scheme = \"github\", secrets = [\"env:S\"] }\n";
    let host = HostBuilder::new(settings).env("S", "s3cret").start().await;
    let wrong = [("x-hub-signature-256", "sha256=00"), ("x-github-event", "push")];
    let refused = host.client.post(host.ingress(), "/in/hub", &wrong, "{}").await;
    let id = refused.expect("an answer").header("x-request-id").to_owned();
    host.client.post(host.ingress(), "/in/none", &[], "{}").await.expect("an answer");
    let page = host.api("sources/hub/rejected").await.expect("a list");
    let one = &page["rejected"][0];
    assert_eq!((&one["request"], &one["status"]), (&id.as_str().into(), &401.into()), "{page}");
    assert_eq!(one["body"], "{}");
    assert!(!page.to_string().contains("sha256=00"), "{page}");
    let stray = host.api("sources/-/rejected").await.expect("a list");
    assert_eq!(stray["rejected"][0]["reason"], "unknown-source");
    let known = host.api("sources").await.expect("sources");
    assert_eq!(known["sources"][0]["rejected"], 1, "{known}");
    assert_eq!(known["sources"][0]["last_rejected"]["reason"], one["reason"]);
    assert!(host.api("sources/other/rejected").await.is_err());
    host.logged(&[&id]).await;
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server/src/testdata").join(name)
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_read_again_when_told_and_when_they_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::copy(testdata("cert.pem"), &cert).expect("a copy");
    std::fs::copy(testdata("key.pem"), &key).expect("a copy");
    let settings = format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\ntls = {{ cert = \"{}\", key = \"{}\" }}\n\
         [sources.s]\nverify = {{ scheme = \"none\" }}\nrequire_tls = true\n",
        cert.display(),
        key.display()
    );
    let host = HostBuilder::new(&settings).start().await;
    let reloads = async |result: &str, least: u64| {
        let start = format!("hookwright_certificate_reloads_total{{result=\"{result}\"}} ");
        eventually(&format!("{least} reloads end in {result}"), DEADLINE, || async {
            let page = metrics(&host).await;
            let count = page.lines().find_map(|line| line.strip_prefix(&start))?;
            (count.parse::<u64>().ok()? >= least).then_some(())
        })
        .await;
    };
    host.hang_up();
    reloads("ok", 1).await;
    // A key that does not belong to the certificate: the old pair stays.
    std::fs::copy(testdata("other-key.pem"), &key).expect("a copy");
    reloads("refused", 1).await;
    std::fs::copy(testdata("key.pem"), &key).expect("a copy");
    reloads("ok", 2).await;
}

const KEYED: &str = "[sources.s]\nverify = { scheme = \"none\" }\n\
                     dedupe = { key = [\"json:/shop\", \"json:/order\"], window = \"1h\" }\n";

/// Eight clients post the same key at once; gives what each heard, where it heard anything.
async fn race(client: &Client, address: std::net::SocketAddr, key: usize) -> Vec<(u16, String)> {
    let mut all = JoinSet::new();
    for number in 0..8 {
        let client = client.clone();
        let body = format!("{{\"shop\":\"a\",\"order\":{key},\"copy\":{number}}}");
        all.spawn(async move { client.post(address, "/in/s", &[], body).await });
    }
    let heard = all.join_all().await.into_iter().flatten();
    heard.map(|posted| (posted.status, posted.id())).collect()
}

/// Of many clients that post the same key at once, exactly one gets the 202, and
/// all get the same id.
#[tokio::test(flavor = "multi_thread")]
async fn of_equal_keys_at_once_exactly_one_is_new() {
    let host = HostBuilder::new(KEYED).start().await;
    for key in 0..50 {
        let heard = race(&host.client, host.ingress(), key).await;
        let new = heard.iter().filter(|(status, _)| *status == 202).count();
        assert_eq!((heard.len(), new), (8, 1), "{heard:?}");
        assert!(heard.iter().all(|(_, id)| *id == heard[0].1), "{heard:?}");
    }
    assert_eq!(host.api("stats").await.expect("stats")["events"], 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_exact_across_kill() {
    let mut host = HostBuilder::new(KEYED).start().await;
    let mut ids: HashMap<usize, String> = HashMap::new();
    let mut key = 0;
    for round in 0..5 {
        let (client, address) = (host.client.clone(), host.ingress());
        let first = key;
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let racing = tokio::spawn(async move {
            for key in first.. {
                let heard = race(&client, address, key).await;
                let gone = heard.len() < 8;
                if tell.send((key, heard)).is_err() || gone {
                    return;
                }
            }
        });
        let mut left = 7 + 5 * round;
        while let Some((raced, heard)) = told.recv().await {
            let new = heard.iter().filter(|(status, _)| *status == 202).count();
            assert!(new <= 1, "{heard:?}");
            for (_, id) in heard {
                assert_eq!(ids.entry(raced).or_insert_with(|| id.clone()), &id);
            }
            key = raced + 1;
            left -= 1;
            if left == 0 {
                host.kill();
            }
        }
        racing.await.expect("the clients end with the host");
        host.launch().await;
    }
    // Whatever was acknowledged before a kill is a duplicate after it, under the same id.
    for raced in 0..key {
        let heard = race(&host.client, host.ingress(), raced).await;
        let known = ids.contains_key(&raced);
        for (status, id) in heard {
            assert!(!known || status == 200, "{raced} was known and is new");
            assert_eq!(ids.entry(raced).or_insert_with(|| id.clone()), &id);
        }
    }
    assert_eq!(host.api("stats").await.expect("stats")["events"], key, "one event a key");
}

const ORDER: &str = r#"{ "type": "object", "required": ["id"],
    "properties": { "id": { "type": "integer" } } }"#;

fn validated(on_invalid: &str) -> String {
    format!(
        "[sources.s]\nverify = {{ scheme = \"none\" }}\nkind = \"header:x-kind\"\n\
         [sources.s.validate]\ncontent_types = [\"application/json\"]\nheaders = [\"x-kind\"]\n\
         schemas = {{ order = \"plugins/order.json\" }}\non_invalid = \"{on_invalid}\"\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_must_be_is_refused_with_the_place() {
    let builder = HostBuilder::new(&validated("refuse")).file("order.json", ORDER.as_bytes());
    let host = builder.start().await;
    let post = async |kind: &str, content_type: &str, body: &str| {
        let headers = [("x-kind", kind), ("content-type", content_type)];
        let posted = host.client.post(host.ingress(), "/in/s", &headers, body.to_owned()).await;
        posted.expect("an answer")
    };
    let json = "application/json; charset=utf-8";
    assert_eq!(post("order", json, r#"{"id":1}"#).await.status, 202);
    assert_eq!(post("other", json, "anything").await.status, 202);
    let wrong = post("order", json, r#"{"id":"SECRET"}"#).await;
    assert_eq!((wrong.status, wrong.code()), (422, "invalid".into()));
    assert_eq!(wrong.json()["errors"][0]["pointer"], "/id", "{:?}", wrong.body);
    assert!(!host.log().contains("SECRET"), "no body in the log");
    let typed = post("order", "text/plain", "{}").await;
    assert!(typed.json()["errors"][0]["detail"].as_str().expect("text").contains("content type"));
    let deep = "[".repeat(101) + &"]".repeat(101);
    let deep = post("other", json, &deep).await;
    assert_eq!((deep.status, deep.code()), (422, "json-too-deep".into()));
    let kept = host.api("sources/s/rejected").await.expect("a list");
    let reasons: Vec<_> = (0..3).map(|place| kept["rejected"][place]["reason"].clone()).collect();
    assert_eq!(reasons, ["json-too-deep", "invalid", "invalid"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_as_it_must_be_may_be_parked_and_replayed() {
    let builder = HostBuilder::new(&validated("park")).file("order.json", ORDER.as_bytes());
    let mut host = builder.start().await;
    let headers = [("x-kind", "order"), ("content-type", "application/json")];
    let posted = host.client.post(host.ingress(), "/in/s", &headers, r#"{"id":"1"}"#).await;
    let posted = posted.expect("an answer");
    assert_eq!(posted.status, 202);
    host.settled(DEADLINE).await;
    let parked = host.api("events?state=parked").await.expect("events");
    assert_eq!(parked["events"][0]["id"], posted.id().as_str());
    let reason = parked["events"][0]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.starts_with("invalid: at /id: "), "{reason}");
    // A crash forgets nothing of it, and a replay checks anew.
    host.kill();
    std::fs::write(host.plugins().join("order.json"), "true").expect("a write");
    host.launch().await;
    assert_eq!(host.api("events?state=parked").await.expect("events"), parked);
    let again = format!("/api/v1/events/{}/replay", posted.id());
    let again = host.client.post(host.admin(), &again, &[], "").await.expect("an answer");
    assert!(again.status < 300, "{again:?}");
    eventually("it is routed", DEADLINE, || async {
        let event = host.api(&format!("events/{}", posted.id())).await.ok()?;
        (event["state"] == "unrouted").then_some(())
    })
    .await;
}
