//! Providers as they are: each gets the status that it counts, sends as much as it sends, by its methods.
use std::time::Duration;

use hookwright_signing::{Draft, Verify, presets, sign_as_provider};
use hookwright_tests::{Host, HostBuilder, Posted, Receiver};
use http::Method;

/// Posts what the provider would send, with a body of its own.
async fn send(host: &Host, scheme: &str, id: &str, body: &[u8]) -> Posted {
    let preset = presets::named(scheme).expect("a preset");
    let verify = Verify::preset(preset, [hookwright_signing::Secret::new("a secret")]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at_s = now.expect("after 1970").as_secs();
    let draft = Draft { id, at_s, kind: None, body: Some(body) };
    let sent = sign_as_provider(&verify, &draft).expect("a shared secret");
    let headers: Vec<(&str, &str)> =
        sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let path = format!("/in/{scheme}");
    let body = sent.body.clone().into();
    host.client.ask(Method::POST, host.ingress(), &path, &headers, body).await.expect("an answer")
}

fn source(scheme: &str, more: &str) -> String {
    format!(
        "[sources.{scheme}]\nverify = {{ scheme = \"{scheme}\", secrets = [\"dangerous_plain:a secret\"] }}\n{more}\n"
    )
}

/// Linear and Paddle got 202, sent again, and disabled the webhook in the end.
#[tokio::test(flavor = "multi_thread")]
async fn regression_each_provider_gets_the_status_that_it_counts_as_success() {
    let settings: String = [
        source("paddle", ""),
        source("linear", "dedupe = { key = \"json:/webhookId\" }"),
        source("github", ""),
        source("zoom", "answer = { status = 204 }"),
    ]
    .concat();
    let host = HostBuilder::new(&settings).start().await;
    let status = async |scheme: &str, body: &str| {
        let answer = send(&host, scheme, "1", body.as_bytes()).await;
        (answer.status, !answer.id().is_empty())
    };
    assert_eq!(status("paddle", "{}").await, (200, true));
    assert_eq!(status("linear", r#"{"webhookId":"1"}"#).await, (200, true));
    assert_eq!(status("linear", r#"{"webhookId":"1","n":2}"#).await, (200, true), "repeated");
    assert_eq!(status("github", "{}").await, (202, true));
    assert_eq!(status("zoom", "{}").await, (204, false), "the settings have the last word");
}

/// GitHub sends up to 25 MB and one was taken.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_source_takes_bodies_as_large_as_its_provider_sends() {
    let settings =
        [source("github", ""), source("stripe", ""), source("docusign", "max_body = \"2MiB\"")];
    let host = HostBuilder::new(&settings.concat()).start().await;
    let body = |mib: usize| format!("{{\"a\":\"{}\"}}", "x".repeat((mib << 20) - 8)).into_bytes();
    assert_eq!(send(&host, "github", "1", &body(25)).await.status, 202);
    assert_eq!(send(&host, "stripe", "1", &body(1)).await.status, 202);
    assert_eq!(send(&host, "stripe", "1", &body(2)).await.status, 413);
    assert_eq!(send(&host, "docusign", "1", &body(2)).await.status, 200);
    assert_eq!(send(&host, "docusign", "1", &body(3)).await.status, 413);
}

/// Method and query were lost to plugins and destinations, and other methods were 405.
#[tokio::test(flavor = "multi_thread")]
async fn regression_method_and_query_reach_plugins_and_destinations() {
    let receiver = Receiver::good().await;
    let settings = format!(
        "[sources.web]\nmethods = [\"POST\", \"PUT\", \"GET\"]\nplugins = [\"route\"]\n\
         verify = {{ scheme = \"api-key\", query = \"key\", secrets = [\"dangerous_plain:k&y\"] }}\n\
         [plugins.route]\nconfig = {{ rules = [\n\
           {{ when = {{ all = [{{ field = \"attribute:http.method\", equals = \"PUT\" }}, \
              {{ field = \"attribute:http.query\", equals = \"a=1&b=%20\" }}] }}, to = [\"put\", \"log\"] }},\n\
           {{ when = {{ all = [{{ field = \"attribute:http.method\", equals = \"POST\" }}, \
              {{ field = \"attribute:http.query\", exists = false }}] }}, to = [\"post\"] }},\n\
         ] }}\n\
         [destinations.put]\nurl = \"{0}put\"\nallow_private = true\n\
         [destinations.log]\nfile = {{ path = \"log.jsonl\" }}\n\
         [destinations.post]\nurl = \"{0}post\"\nallow_private = true\n",
        receiver.url().trim_end_matches('/').to_owned() + "/"
    );
    let host = HostBuilder::new(&settings).plugin("route").start().await;
    let ask = async |method: Method, query: &str| {
        let path = format!("/in/web?{query}");
        let asked = host.client.ask(method, host.ingress(), &path, &[], "{}".into()).await;
        asked.expect("an answer").status
    };
    assert_eq!(ask(Method::PUT, "a=1&key=k%26y&b=%20").await, 202);
    assert_eq!(ask(Method::POST, "key=k%26y").await, 202);
    assert_eq!(ask(Method::GET, "key=k%26y").await, 202);
    assert_eq!(ask(Method::PUT, "a=1").await, 401);
    assert_eq!(ask(Method::DELETE, "key=k%26y").await, 405);
    host.settled(Duration::from_secs(30)).await;
    let mut got = receiver.received();
    got.sort_by(|one, other| one.path.cmp(&other.path));
    let seen: Vec<_> = got
        .iter()
        .map(|it| (it.path.as_str(), it.header("hookwright-method"), it.header("hookwright-query")))
        .collect();
    assert_eq!(seen, [("/hook/post", "", ""), ("/hook/put", "PUT", "a=1&b=%20")]);
    let lines = std::fs::read_to_string(host.dir().join("log.jsonl")).expect("the file");
    let line: serde_json::Value = serde_json::from_str(lines.trim()).expect("one line");
    assert_eq!((&line["method"], &line["query"]), (&"PUT".into(), &"a=1&b=%20".into()));
    // The secret of the query is nowhere.
    let events = host.api("events").await.expect("the events").to_string();
    assert!(!events.contains("k%26y") && !events.contains("k&y"), "{events}");
}

/// Mailgun's routes post forms: 401. Forms had neither kind nor key.
#[tokio::test(flavor = "multi_thread")]
async fn regression_forms_are_verified_and_deduplicated_by_their_fields() {
    let settings = [
        source("mailgun", "dedupe = { key = \"id\" }"),
        "[sources.form]\nverify = { scheme = \"none\" }\nkind = \"form:EventType\"\n\
         dedupe = { key = \"form:Sid\" }\n"
            .to_owned(),
    ];
    let host = HostBuilder::new(&settings.concat()).start().await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let post = async |path: &str, body: String| {
        let asked = host.client.ask(Method::POST, host.ingress(), path, &form, body.into()).await;
        asked.expect("an answer")
    };
    let first = post("/in/form", "Sid=1&EventType=message.sent&n=1".to_owned()).await;
    let again = post("/in/form", "EventType=message.sent&Sid=%31&n=2".to_owned()).await;
    assert_eq!((first.status, again.status), (202, 200));
    assert_eq!(first.id(), again.id());
    let event = host.api(&format!("events/{}", first.id())).await.expect("the event");
    assert_eq!(event["kind"], "message.sent");

    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let at = now.expect("after 1970").as_secs().to_string();
    // As a Mailgun of this second signs: the same HMAC as in its JSON.
    let preset = presets::named("mailgun").expect("a preset");
    let verify = Verify::preset(preset, [hookwright_signing::Secret::new("a secret")]);
    let draft = Draft { id: "token", at_s: at.parse().expect("a number"), kind: None, body: None };
    let sent = sign_as_provider(&verify, &draft).expect("a shared secret");
    let json: serde_json::Value = serde_json::from_slice(&sent.body).expect("JSON");
    let signature = json["signature"]["signature"].as_str().expect("a text").to_owned();
    let route = format!("recipient=a%40b.c&timestamp={at}&token=token&signature={signature}");
    let taken = post("/in/mailgun", route.clone()).await;
    assert_eq!(taken.status, 200, "{:?}", taken.body);
    assert_eq!(post("/in/mailgun", route.clone()).await.id(), taken.id(), "the token is the id");
    assert_eq!(post("/in/mailgun", route.replace("token=token", "token=other")).await.status, 401);
    assert_eq!(post("/in/mailgun", format!("{route}&signature={signature}")).await.status, 401);
}
