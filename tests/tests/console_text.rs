//! Hostile events in the console: what is copied from it runs nothing, what is shown of them is bounded and is text only.
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hookwright_tests::{Browser, HostBuilder, Receiver, eventually};
use http::Method;
use serde_json::{Value, json};

/// Generous: both cores may be taken by something else.
const LONG: Duration = Duration::from_secs(60);

/// Bodies that a shell, a terminal or curl would take for something else.
fn bodies() -> Vec<Vec<u8>> {
    let texts = [
        "",
        "{\"plain\": \"it is {readable}, $5 & more\"}",
        "@secret",
        "@-",
        "<secret",
        "-o pwned",
        "--output pwned",
        "it's; touch pwned",
        "'; touch pwned; '",
        "\\'; touch pwned #",
        "\\",
        "$(touch pwned)`touch pwned`",
        "!! !touch",
        "a\ntouch pwned\n",
        "a\r\ntouch pwned\r\n",
        "\u{1b}[201~touch pwned\n\u{3}\u{4}",
        "\u{7f}\u{9b}31m\u{202e}",
        "\u{2018}; touch pwned \u{2019}",
        "naïve 漢字 \u{1f600}",
        "tab\tand space at the end ",
        "%s%n%%",
    ];
    let mut all: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    all.push(vec![0, 1, 2, 0xff, 0xfe, b'\n']);
    all.push((0..=255).collect());
    all.push(vec![b'x'; 300_000]);
    all
}

/// Values that a header may have.
const VALUES: [&str; 12] = [
    "1",
    "",
    "a; b=\"c\"",
    "@secret",
    "-v",
    "it's $(touch pwned) `touch pwned`",
    "'; touch pwned; '",
    "\\' ; touch pwned #",
    "tab\there",
    "{a,b}[1-3]",
    "!touch",
    "{\"a\":\"b\\n\"}",
];

/// The command that the console would copy.
async fn command(browser: &Browser, url: &str, headers: &Value, body: &[u8]) -> String {
    command_by("POST", browser, url, headers, body).await
}

async fn command_by(
    method: &str,
    browser: &Browser,
    url: &str,
    headers: &Value,
    body: &[u8],
) -> String {
    let script = format!(
        "return (async () => {{ const {{ curl }} = await import('/console/curl.js'); \
         const body = Uint8Array.from(atob('{}'), (char) => char.charCodeAt(0)); \
         return curl({}, {headers}, body, {}); }})();",
        STANDARD.encode(body),
        json!(url),
        json!(method),
    );
    browser.run(&script).await.as_str().expect("a command").to_owned()
}

fn run(shell: &str, command: &str, folder: &Path) -> bool {
    // From a file, since one argument holds no more than 128 KiB.
    let file = folder.join("command");
    std::fs::write(&file, format!("{command} -s\n")).expect("a write");
    let mut shell = Command::new(shell);
    shell.arg(file).current_dir(folder).env("HOME", folder).stdin(Stdio::null());
    shell.status().expect("a shell").success()
}

/// A body that begins with `@` made curl send a file of whoever pasted the command, and control characters ran commands.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_copied_command_sends_what_was_sent_and_nothing_else() {
    let host = HostBuilder::new("").start().await;
    let receiver = Receiver::good().await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", host.admin())).await;
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["secret", "-"] {
        std::fs::write(folder.path().join(name), "the secret of whoever pastes it")
            .expect("a write");
    }
    let mut cases: Vec<(String, Value, Vec<u8>)> = Vec::new();
    for body in bodies() {
        cases.push(("/hook".to_owned(), json!([["content-type", "text/plain"]]), body));
    }
    for value in VALUES {
        cases.push((
            "/hook".to_owned(),
            json!([["x-hostile", value], ["webhook-id", "1"]]),
            b"{}".to_vec(),
        ));
    }
    for path in [
        "/{a,b}/[1-3]?x='; touch pwned; '&y=$(touch pwned)",
        "/a b\n\u{1b}c\\'",
        "/../a/./b?q=%2F%41#",
        "/ü!",
    ] {
        cases.push((path.to_owned(), json!([]), b"@secret".to_vec()));
    }
    let mut sent = 0;
    for (path, headers, body) in cases {
        let url = format!("http://{}{path}", receiver.address());
        let command = command(&browser, &url, &headers, &body).await;
        let seen = command.chars().all(|char| char == '\n' || (' '..='~').contains(&char));
        assert!(seen, "what is pasted is seen as it is: {command:?}");
        if body.starts_with(b"{\"plain\"") {
            assert!(command.contains("it is {readable}"), "plain text stays readable: {command}");
        }
        for shell in ["sh", "bash"] {
            assert!(run(shell, &command, folder.path()), "{shell}: {command}");
            sent += 1;
            assert_eq!(receiver.count(), sent, "one request: {command}");
            let received = receiver.received().pop().expect("a request");
            assert!(received.body == body, "{shell}, byte for byte: {command}");
            for pair in headers.as_array().expect("a list") {
                let (name, value) =
                    (pair[0].as_str().expect("a name"), pair[1].as_str().expect("a value"));
                let got = received.headers.get(name).map(|got| got.as_bytes());
                assert_eq!(got, Some(value.as_bytes()), "{shell} {name}: {command}");
            }
        }
    }
    let mut left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .map(|one| one.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["-", "command", "secret"], "no command ran, and no file was written");
    browser.close().await;
}

/// An event that came by PUT or GET was copied as a POST.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_copied_event_goes_by_the_method_that_it_came_by() {
    let host = HostBuilder::new(
        "[sources.a]\nverify = { scheme = \"none\" }\nmethods = [\"POST\", \"GET\", \"PUT\"]\n",
    )
    .start()
    .await;
    let receiver = Receiver::good().await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/", host.admin())).await;
    let folder = tempfile::tempdir().expect("a folder");
    for (sent, (method, body)) in [("PUT", "{}"), ("GET", ""), ("POST", "{}")].iter().enumerate() {
        let url = format!("http://{}/hook", receiver.address());
        let command = command_by(method, &browser, &url, &json!([]), body.as_bytes()).await;
        assert!(run("sh", &command, folder.path()), "{command}");
        let received = receiver.received();
        assert_eq!(received.len(), sent + 1, "{command}");
        assert_eq!(received[sent].method, *method, "{command}");
        assert_eq!(received[sent].body, *body, "{command}");
    }
    // As the page has it: from what the host kept of the request.
    let path = "/in/a?x=1&y=2";
    let request = host.client.ask(Method::PUT, host.ingress(), path, &[], "{}".into());
    let id = request.await.expect("an answer").header("webhook-id").to_owned();
    browser.open(&format!("http://{}/#/events/{id}", host.admin())).await;
    browser.shows("What happened").await;
    browser
        .run("window.copied = ''; navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        .await;
    browser.click("button", "Copy as curl").await;
    browser.until("window.copied !== ''").await;
    let copied = browser.run("return window.copied").await;
    let copied = copied.as_str().expect("a command");
    assert!(copied.contains("--request 'PUT'") && copied.contains("/in/a?x=1&y=2'"), "{copied}");
    assert!(!copied.contains("hookwright-"), "{copied}");
    browser.close().await;
}

/// 20 kB of nested brackets became 200 MB in the page, and 40 kB could not be opened.
#[tokio::test(flavor = "multi_thread")]
async fn regression_what_a_page_shows_of_an_event_is_bounded() {
    let receiver = Receiver::good().await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"out\"]\n\
         [destinations.out]\nurl = \"{}\"\nallow_private = true\n",
        receiver.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    let nested = |depth: usize, open: &str, inner: &str, close: &str| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
    };
    let bodies = [
        nested(20_000, "[", "", "]"),
        nested(120_000, "[", "1", "]"),
        nested(20_000, "{\"a\":", "1", "}"),
        nested(20_000, "[1,", "1", "]"),
        // Deep first, and then wide.
        nested(99, "[", &"1,".repeat(120_000), "1]").replace(",1]", "]"),
        nested(99, "[", &format!("{}1", "1,".repeat(100_000)), "]"),
        format!("[{}1]", " ".repeat(200_000)),
        "x".repeat(900_000),
        "\n".repeat(250_000),
    ];
    let browser = Browser::start().await;
    for body in bodies {
        let size = body.len();
        let posted = host.client.post(host.ingress(), "/in/a", &[], body).await.expect("an answer");
        assert_eq!(posted.status, 202, "{size}");
        host.settled(LONG).await;
        let id = posted.id();
        for _ in 0..3 {
            let path = format!("/api/v1/events/{id}/replay");
            let again = r#"{"destination":"out"}"#;
            let headers = [("content-type", "application/json")];
            let done =
                host.client.post(host.admin(), &path, &headers, again).await.expect("an answer");
            assert_eq!(done.status, 200);
            host.settled(LONG).await;
        }
        // Another event's page must not be taken for this one's.
        browser.open("about:blank").await;
        browser.open(&format!("http://{}/#/events/{id}", host.admin())).await;
        browser.until("!!document.querySelector('section.card pre')").await;
        browser.until("document.querySelectorAll('details.attempt').length === 4").await;
        let shown = browser.run("return document.documentElement.outerHTML.length;").await;
        assert!(shown.as_u64().expect("a number") < 1_400_000, "{size} bytes became {shown}");
        // One that is opened shows its body, too.
        browser.click("details.attempt summary", "Attempt 1").await;
        browser.until("!!document.querySelector('details[open] pre')").await;
        let shown = browser.run("return document.documentElement.outerHTML.length;").await;
        assert!(shown.as_u64().expect("a number") < 2_800_000, "{size} bytes became {shown}");
    }
    let diff = browser
        .run(
            "return (async () => { const { diff, indent } = await import('/console/text.js'); \
             const deep = '['.repeat(100000) + ']'.repeat(100000); \
             return [diff(deep, `${deep} `).textContent.length, diff('x'.repeat(9e6), 'y').textContent.length, \
               indent('[1,{\"a\":[],\"b\":{ },\"c\":\"x\\\\\"[\"}]')]; })();",
        )
        .await;
    assert!(diff[0].as_u64().expect("a number") < 1_400_000, "{diff}");
    assert!(diff[1].as_u64().expect("a number") < 1_000, "{diff}");
    assert_eq!(
        diff[2],
        "[\n  1,\n  {\n    \"a\": [],\n    \"b\": {},\n    \"c\": \"x\\\"[\"\n  }\n]"
    );
    browser.close().await;
}

/// Text from outside enters the pages as text only, wherever it stands.
#[tokio::test(flavor = "multi_thread")]
async fn markup_from_outside_is_shown_and_not_made() {
    const MARKUP: &str = "<img src=x onerror=\"window.pwned=1\"><script>window.pwned=1</script>";
    let answer = hookwright_tests::Answer { body: MARKUP, ..hookwright_tests::Answer::status(500) };
    let receiver = Receiver::scripted(move |_, _| answer.clone()).await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"out\"]\nkind = \"header:x-kind\"\n\
         [sources.b]\nverify = {{ scheme = \"github\", secrets = [\"dangerous_plain:x\"] }}\n\
         [destinations.out]\nurl = \"{}\"\nallow_private = true\nretry = {{ base = \"10ms\", attempts = 2 }}\n",
        receiver.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    let headers = [("x-kind", MARKUP), ("x-other", MARKUP), ("content-type", MARKUP)];
    let posted =
        host.client.post(host.ingress(), "/in/a", &headers, MARKUP).await.expect("an answer");
    assert_eq!(posted.status, 202);
    for path in ["/in/b", "/in/%3Cimg%20src=x%3E"] {
        host.client.post(host.ingress(), path, &headers, MARKUP).await.expect("an answer");
    }
    host.settled(LONG).await;
    let json = [("content-type", "application/json")];
    let body = json!({ "reason": MARKUP }).to_string();
    host.client
        .post(host.admin(), "/api/v1/destinations/out/disable", &json, body)
        .await
        .expect("an answer");
    let browser = Browser::start().await;
    let event = format!("/events/{}", posted.id());
    for page in [
        "/",
        "/events",
        event.as_str(),
        "/sources",
        "/sources/b",
        "/sources/-",
        "/destinations",
        "/plugins",
        "/live",
        "/audit",
    ] {
        browser.open("about:blank").await;
        browser.open(&format!("http://{}/#{page}", host.admin())).await;
        browser.until("!!document.querySelector('h1')").await;
        browser
            .run("document.querySelectorAll('details').forEach((one) => { one.open = true; });")
            .await;
        let made = "document.querySelectorAll('main img, main script').length";
        eventually("the page is drawn", LONG, || async {
            let drawn = browser.run("return document.body.innerText.length > 100;").await;
            (drawn == true).then_some(())
        })
        .await;
        let found = browser.run(&format!("return [window.pwned ?? null, {made}];")).await;
        assert_eq!(found, json!([null, 0]), "{page}");
    }
    browser.close().await;
}
