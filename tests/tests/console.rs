//! The console in a real browser: what an operator does with it, its keys, its contrast, and that it loads nothing else.
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwright_tests::{Answer, Browser, Host, HostBuilder, Receiver, eventually};

const TOKEN: &str = "the operator's token of the test";

fn settings(good: &Receiver, bad: &Receiver, admin: &str) -> String {
    let to = |name: &str, receiver: &Receiver| {
        format!(
            "[destinations.{name}]\nurl = \"{}\"\nallow_private = true\n\
             sign = {{ scheme = \"none\" }}\nretry = {{ base = \"50ms\", attempts = 3 }}\n",
            receiver.url()
        )
    };
    format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://hooks.example.com\"\n{admin}\
         [sources.github]\nverify = {{ scheme = \"github\", secrets = [\"env:GITHUB_SECRET\"] }}\n\
         plugins = [\"filter\", \"thin-github\"]\ndestinations = [\"ci\"]\n\
         [sources.shop]\nverify = {{ scheme = \"none\" }}\nkind = \"json:/type\"\n\
         destinations = [\"ledger\", \"warehouse\"]\n\
         [plugins.filter]\nconfig = {{ keep = [{{ field = \"kind\", equals = \"push\" }}] }}\n\
         [plugins.thin-github]\nheaders = [\"x-github-event\"]\n\
         candidate = {{ file = \"candidate.wasm\", shadow = true }}\n\
         {}{}{}",
        to("ci", good),
        to("ledger", good),
        to("warehouse", bad),
    )
}

async fn host(good: &Receiver, bad: &Receiver, admin: &str) -> Host {
    let text = settings(good, bad, admin);
    // The commands find the host by its settings.
    HostBuilder::new(&text)
        .plugin("filter")
        .plugin("thin-github")
        .file("candidate.wasm", &hookwright_testkit::guest::guest("guests/pass"))
        .env("GITHUB_SECRET", "a secret of the test")
        .start()
        .await
}

async fn order(host: &Host, number: u32) -> String {
    let headers = [("content-type", "application/json")];
    let body = format!(
        r#"{{"type":"order.paid","order":{{"id":{number},"total":"49.90","currency":"EUR"}}}}"#
    );
    let posted = host.client.post(host.ingress(), "/in/shop", &headers, body).await;
    posted.expect("an answer").id()
}

async fn push(host: &Host) -> String {
    let body = include_str!("../../host/samples/github-push.json");
    let verify = hookwright_signing::Verify::preset(
        hookwright_signing::presets::named("github").expect("a preset"),
        [hookwright_signing::Secret::new("a secret of the test")],
    );
    let draft = hookwright_signing::Draft {
        id: "one",
        at_s: 0,
        kind: Some("push"),
        body: Some(body.as_bytes()),
    };
    let sent = hookwright_signing::sign_as_provider(&verify, &draft).expect("a signature");
    let mut headers: Vec<_> =
        sent.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    headers.push(("content-type", "application/json"));
    let posted = host.client.post(host.ingress(), "/in/github", &headers, sent.body).await;
    posted.expect("an answer").id()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_finds_explains_and_mends() {
    let good = Receiver::good().await;
    let bad = Receiver::scripted(|_, _| Answer::status(500)).await;
    let host = host(&good, &bad, "").await;
    let (first, pushed) = (order(&host, 1041).await, push(&host).await);
    let id = order(&host, 1042).await;
    let refused = host.client.post(host.ingress(), "/in/github", &[], "{}").await;
    assert_eq!(refused.expect("an answer").status, 401);
    host.settled(Duration::from_secs(20)).await;

    let browser = Browser::start().await;
    let page = |path: &str| format!("http://{}/#{path}", host.admin());
    browser.open(&page("/")).await;
    // The overview tells what is wrong, and leads there.
    browser.shows("Needs a look").await;
    browser.shows("warehouse fails").await;
    browser.shows("2 dead").await;
    readable(&browser, "/").await;

    find(&browser, &host, &id, &first).await;
    explain(&browser, &page(&format!("/events/{pushed}")), &good).await;
    replay(&browser, &good).await;
    destinations(&browser, &host, &page("/destinations"), &bad).await;
    sources(&browser, &page("/sources")).await;

    browser.open(&page("/plugins")).await;
    browser.shows("Makes GitHub's large events thin").await;
    browser.shows("Beside it").await;
    browser.until("/[1-9] different/.test(document.body.innerText)").await;
    readable(&browser, "/plugins").await;

    browser.open(&page("/live")).await;
    browser.shows("connected").await;
    let live = order(&host, 7).await;
    browser.until(&format!("!!document.querySelector('tr[data-id={live}]')")).await;
    readable(&browser, "/live").await;

    browser.open(&page("/audit")).await;
    browser.shows("/destinations/ci/disable").await;
    readable(&browser, "/audit").await;
    browser.open(&format!("http://{}/reference", host.admin())).await;
    browser.shows("List and search events").await;

    keys(&browser, &page("/")).await;
    own_requests_only(&browser, &host).await;
    pictures(&browser, &host, &pushed).await;
    assert_eq!(browser.errors().await, Vec::<String>::new());
    browser.close().await;
}

/// By text in the body, by filters, by id.
async fn find(browser: &Browser, host: &Host, id: &str, other: &str) {
    browser.open(&format!("http://{}/#/events", host.admin())).await;
    browser.until(&format!("!!document.querySelector('tr[data-id={other}]')")).await;
    browser.click("input[name=text]", "").await;
    browser.run("document.querySelector('input[name=text]').focus()").await;
    browser.keys("\"id\":1042\u{e007}").await;
    browser.shows("Looked into").await;
    browser.until(&format!("!!document.querySelector('tr[data-id={id}]')")).await;
    browser.until(&format!("!document.querySelector('tr[data-id={other}]')")).await;
    readable(browser, "/events").await;
    browser
        .open(&format!("http://{}/#/events?destination=warehouse&delivery=dead", host.admin()))
        .await;
    browser.until(&format!("!!document.querySelector('tr[data-id={id}]')")).await;
    browser.run("document.querySelector('input[name=text]').focus()").await;
    browser.keys(&format!("{id}\u{e007}")).await;
    browser.shows("What happened").await;
    browser.shows(id).await;
}

/// One event: its way, the diff, every attempt, and a curl command that works.
async fn explain(browser: &Browser, url: &str, good: &Receiver) {
    browser.open(url).await;
    for text in
        ["Received", "Verified", "As GitHub (github) signs", "thin-github", "amend", "To ci"]
    {
        browser.shows(text).await;
    }
    browser.click("summary", "What the plugins changed").await;
    browser.until("document.querySelectorAll('.diff .plus').length > 2").await;
    browser.click("summary", "Attempt 1").await;
    browser.shows("webhook-id: evt_").await;
    readable(browser, "/events/one").await;
    browser.run("navigator.clipboard.writeText = async (text) => { window.copied = text; };").await;
    browser.click("details[open] button", "Copy as curl").await;
    let command = browser.until("window.copied").await;
    let command = command.as_str().expect("a command").to_owned();
    let before = good.count();
    let ran = tokio::task::spawn_blocking(move || {
        std::process::Command::new("sh").args(["-c", &format!("{command} -s")]).status()
    });
    assert!(ran.await.expect("it ends").expect("sh runs").success());
    assert_eq!(good.count(), before + 1);
    let all = good.received();
    let again = &all[before];
    let id = again.header("webhook-id");
    let same =
        all.iter().filter(|one| one.header("webhook-id") == id && one.body == again.body).count();
    assert_eq!(same, 2, "the copied command sends what was delivered, byte for byte");
}

/// With a look at what it would do.
async fn replay(browser: &Browser, good: &Receiver) {
    let before = good.count();
    browser.run("document.activeElement.blur()").await;
    browser.keys("r").await;
    browser.shows("It would be").await;
    browser.until("!!document.querySelector('dialog .diff .plus')").await;
    assert_eq!(good.count(), before, "a preview sends nothing");
    readable(browser, "the preview").await;
    browser.click("dialog button", "Replay").await;
    eventually("the replay arrives", Duration::from_secs(10), || async {
        (good.count() == before + 1).then_some(())
    })
    .await;
    browser.shows("replayed once").await;
}

async fn destinations(browser: &Browser, host: &Host, url: &str, bad: &Receiver) {
    browser.open(url).await;
    browser.shows("failing").await;
    readable(browser, "/destinations").await;
    browser.click("[data-name=ci] button", "Disable").await;
    browser.shows("disabled by a person").await;
    let known = host.api("destinations?name=ci").await.expect("an answer");
    assert_eq!(known["destinations"][0]["disabled"], "disabled by a person");
    browser.click("[data-name=ci] button", "Enable").await;
    browser.until("!document.body.innerText.includes('disabled by a person')").await;
    let before = bad.count();
    browser.click("[data-name=warehouse] button", "Replay since").await;
    browser.shows("2 events will be sent again").await;
    browser.click("dialog button", "Replay").await;
    eventually("what was dead is sent again", Duration::from_secs(10), || async {
        (bad.count() >= before + 2).then_some(())
    })
    .await;
}

async fn sources(browser: &Browser, url: &str) {
    browser.open(url).await;
    browser.shows("https://hooks.example.com/in/github").await;
    readable(browser, "/sources").await;
    browser.click("[data-name=github] a", "Set it up").await;
    browser.shows("Settings → Webhooks → Add webhook").await;
    browser.click("summary", "401").await;
    browser.shows("POST /in/github").await;
    readable(browser, "/sources/github").await;
}

/// Without a mouse: pages, the search, the list.
async fn keys(browser: &Browser, url: &str) {
    browser.open(url).await;
    browser.shows("Needs a look").await;
    browser.keys("ge").await;
    browser
        .until("location.hash === '#/events' && !!document.querySelector('tr[data-open]')")
        .await;
    browser.until("document.activeElement.tagName === 'H1'").await;
    browser.keys("/").await;
    browser.until("document.activeElement.name === 'text'").await;
    browser.keys("\u{e00c}jj").await;
    browser.until("document.querySelectorAll('tr[data-open]')[1].getAttribute('aria-selected') === 'true'").await;
    browser.keys("\u{e007}").await;
    browser.shows("What happened").await;
    browser.run("document.activeElement.blur()").await;
    browser.keys("?").await;
    browser.until("document.getElementById('dialog').open").await;
    browser.keys("\u{e00c}").await;
    browser.until("!document.getElementById('dialog').open").await;
}

async fn own_requests_only(browser: &Browser, host: &Host) {
    let other = browser
        .run(&format!(
            "return performance.getEntriesByType('resource').map((one) => one.name)\
             .filter((name) => !name.startsWith('http://{}/'))",
            host.admin()
        ))
        .await;
    assert_eq!(other, serde_json::json!([]));
    let page = host.client.get(host.admin(), "/").await.expect("the page");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
}

/// Every text has the contrast that WCAG 2.2 AA asks for (1.4.3), dark and
/// light; everything to click or to fill in has a name; nothing is wider than a phone.
async fn readable(browser: &Browser, page: &str) {
    for scheme in ["light", "dark"] {
        browser.prefer(scheme).await;
        let wrong = browser.run(include_str!("console/readable.js")).await;
        assert_eq!(wrong, serde_json::json!([]), "{page}, {scheme}");
    }
    browser.size(360, 740).await;
    let width = browser.run("return document.documentElement.scrollWidth").await;
    assert!(width.as_u64().is_some_and(|width| width <= 360), "{page}: {width} wide on a phone");
    browser.size(1280, 800).await;
}

/// For the docs, where somebody asks for them: `SCREENSHOTS=1`.
async fn pictures(browser: &Browser, host: &Host, pushed: &str) {
    if std::env::var_os("SCREENSHOTS").is_none() {
        return;
    }
    let folder = root().join("docs/console");
    std::fs::create_dir_all(&folder).expect("a folder");
    let event = format!("events/{pushed}");
    let pages = [
        ("live", "live"),
        ("events", "events"),
        ("event", event.as_str()),
        ("destinations", "destinations"),
        ("sources", "sources"),
        ("source", "sources/github"),
        ("plugins", "plugins"),
        ("audit", "audit"),
        ("overview", ""),
    ];
    for (name, path) in pages {
        for (kind, width, height, scheme) in [
            ("light", 1280, 800, "light"),
            ("dark", 1280, 800, "dark"),
            ("phone", 390, 844, "light"),
        ] {
            browser.size(width, height).await;
            browser.prefer(scheme).await;
            browser.open("about:blank").await;
            browser.open(&format!("http://{}/#/{path}", host.admin())).await;
            browser.until("!!document.querySelector('main h1')").await;
            if name == "overview" {
                eventually("the charts have points", Duration::from_secs(60), || async {
                    let drawn = browser.run("return !!document.querySelector('.chart .stroke')");
                    (drawn.await == true).then_some(())
                })
                .await;
            }
            if name == "live" {
                browser.shows("connected").await;
                order(host, 1043).await;
                browser.until("!!document.querySelector('tr[data-id]')").await;
            }
            browser
                .run("document.querySelector('[data-key=diff-ci]')?.setAttribute('open', '')")
                .await;
            let picture = browser.picture().await;
            std::fs::write(folder.join(format!("{name}-{kind}.png")), picture).expect("a write");
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_asked_for_and_what_it_may_not_do_is_not_offered() {
    let receiver = Receiver::good().await;
    let admin = format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[admin.tokens.operator]\n\
         token = \"dangerous_plain:{TOKEN}\"\nscope = \"read\"\n"
    );
    let host = host(&receiver, &receiver, &admin).await;
    let browser = Browser::start().await;
    browser.open(&format!("http://{}/#/destinations", host.admin())).await;
    browser.until("document.getElementById('dialog').open").await;
    browser.run("document.querySelector('input[name=token]').focus()").await;
    browser.keys(&format!("{TOKEN}\u{e007}")).await;
    browser.until("!!document.querySelector('[data-name=warehouse]')").await;
    let buttons =
        browser.run("return document.querySelectorAll('[data-name] button').length").await;
    assert_eq!(buttons, 0, "a reader's token switches nothing");
    browser.until("document.getElementById('nav-audit').hidden").await;
    browser.close().await;
}
