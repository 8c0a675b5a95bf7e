//! For a developer's machine: `listen` loses and repeats nothing over a lost host and a service that is not there; a bin takes anything.
use std::io::{BufRead, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, eventually};
use http::Method;
use serde_json::{Value, json};

const SETTINGS: &str = "[sources.shop]\nverify = { scheme = \"none\" }\nkind = \"json:/type\"\n\
                        [sources.other]\nverify = { scheme = \"none\" }\n\
                        [sources.bin]\nbin = true\n";

/// On ports that stay the same over a restart, so that commands find it again.
async fn host() -> Host {
    let host = HostBuilder::new(SETTINGS).start().await;
    let path = host.dir().join("hookwright.toml");
    let text = std::fs::read_to_string(&path).expect("the settings");
    let fixed = |text: &str, name: &str, address: std::net::SocketAddr| {
        text.replace(
            &format!("[{name}]\nlisten = \"127.0.0.1:0\""),
            &format!("[{name}]\nlisten = \"{address}\""),
        )
    };
    let text = fixed(&text, "ingress", host.ingress());
    std::fs::write(&path, fixed(&text, "admin", host.admin())).expect("a write");
    host
}

/// Starts `listen`; what it writes to standard error so far.
fn listen(host: &Host, forward: &str, more: &[&str]) -> (Child, Arc<Mutex<String>>) {
    let args = [&["--json", "listen", "--forward", forward, "--source", "shop"], more].concat();
    let mut command = host.command(&args);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let stderr = child.stderr.take().expect("a piped output");
    let said: Arc<Mutex<String>> = Arc::default();
    let heard = said.clone();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let mut said = heard.lock().expect("no holder panics");
            said.push_str(&line);
            said.push('\n');
        }
    });
    (child, said)
}

async fn says(said: &Arc<Mutex<String>>, text: &str) {
    eventually(text, Duration::from_secs(20), || async {
        said.lock().expect("no holder panics").contains(text).then_some(())
    })
    .await;
}

async fn order(host: &Host, number: u32) -> String {
    let headers = [("content-type", "application/json"), ("x-shop", "yes")];
    let body = format!(r#"{{"type":"paid","number":{number}}}"#);
    let posted = host.client.post(host.ingress(), "/in/shop", &headers, body).await;
    posted.expect("an answer").id()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_is_handed_on_once_over_a_restart_of_the_host() {
    let mut host = host().await;
    let service = Receiver::good().await;
    let before = order(&host, 0).await;
    let (mut child, said) = listen(&host, &service.url(), &["--count", "6"]);
    says(&said, "events go to").await;
    let mut ids = vec![order(&host, 1).await, order(&host, 2).await];
    host.client.post(host.ingress(), "/in/other", &[], "not wanted").await.expect("an answer");
    eventually("the first two came", Duration::from_secs(10), || async {
        (service.count() == 2).then_some(())
    })
    .await;
    host.kill();
    says(&said, "trying again").await;
    host.launch().await;
    // Accepted while the listener does not look, and after.
    for number in 3..7 {
        ids.push(order(&host, number).await);
    }
    let code = tokio::task::spawn_blocking(move || {
        let mut out = String::new();
        child.stdout.take().expect("a piped output").read_to_string(&mut out).expect("text");
        (child.wait().expect("it ends").code(), out)
    });
    let (code, out) = code.await.expect("it ends");
    assert_eq!(code, Some(0), "{out}");
    let got = service.received();
    let came: Vec<_> = got.iter().map(|one| one.header("webhook-id").to_owned()).collect();
    assert_eq!(came, ids, "each once, in order, and nothing from before ({before})");
    assert_eq!(got[0].body.as_ref(), br#"{"type":"paid","number":1}"#);
    assert_eq!((got[0].header("x-shop"), got[0].header("hookwright-source")), ("yes", "shop"));
    let lines: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!((&lines[5]["event"], &lines[5]["status"]), (&json!(ids[5]), &json!(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_not_there_yet_is_waited_for() {
    let host = host().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = port.local_addr().expect("an address");
    drop(port);
    let first = order(&host, 1).await;
    let after = order(&host, 2).await;
    let forward = format!("http://{address}/hook");
    let (mut child, said) = listen(&host, &forward, &["--after", &first, "--count", "1"]);
    says(&said, "waiting for it").await;
    let service = std::net::TcpListener::bind(address).expect("the port is still free");
    let got = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let (stream, _) = service.accept().expect("a connection");
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        (&stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("a write");
        head
    });
    let head = got.await.expect("it ends");
    assert!(head.iter().any(|line| *line == format!("webhook-id: {after}")), "{head:?}");
    let ended = tokio::task::spawn_blocking(move || child.wait());
    assert_eq!(ended.await.expect("it ends").expect("a child").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_refuses_ends_it() {
    let host = host().await;
    let (mut child, said) =
        listen(&host, "http://127.0.0.1:9/", &["--after", "evt_01KB0W3V8Y00058YBKV3B0W3V8"]);
    let ended = tokio::task::spawn_blocking(move || child.wait());
    assert_eq!(ended.await.expect("it ends").expect("a child").code(), Some(1));
    says(&said, "of another store").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bin_takes_anything_and_shows_how_it_was_asked() {
    let host = host().await;
    let ask = async |method: Method, path: &str, headers: &[(&str, &str)], body: &str| {
        let body = body.to_owned().into();
        host.client.ask(method, host.ingress(), path, headers, body).await.expect("an answer")
    };
    let forged = [("hookwright-method", "DELETE"), ("x-a", "1"), ("content-type", "text/plain")];
    let put = ask(Method::PUT, "/in/bin?a=b&c=%20", &forged, "any text").await;
    assert_eq!(put.status, 202);
    let got = ask(Method::GET, "/in/bin", &[], "").await;
    assert_eq!(got.status, 202);
    assert_eq!(ask(Method::PUT, "/in/shop", &[], "{}").await.status, 405);
    let event = host.api(&format!("events/{}", put.id())).await.expect("the event");
    assert_eq!((&event["kind"], &event["state"]), (&json!("PUT"), &json!("unrouted")));
    let headers = event["headers"].as_array().expect("a list");
    for pair in [["hookwright-method", "PUT"], ["hookwright-query", "a=b&c=%20"], ["x-a", "1"]] {
        assert!(headers.contains(&json!(pair)), "{pair:?} is not in {headers:?}");
    }
    let path = format!("/api/v1/events/{}/body", put.id());
    let body = host.client.get(host.admin(), &path).await.expect("the body");
    assert_eq!(body.body.as_ref(), b"any text");
    let event = host.api(&format!("events/{}", got.id())).await.expect("the event");
    assert_eq!((&event["kind"], &event["body_bytes"]), (&json!("GET"), &json!(0)));
}
