//! New settings, secrets and certificates in a running host, and `check`, which finds what `serve` would refuse.
use std::path::{Path, PathBuf};
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, artifact, eventually};
use serde_json::{Value, json};

const WAIT: Duration = Duration::from_secs(60);

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/server/src/testdata").join(name)
}

async fn post(host: &Host, source: &str, headers: &[(&str, &str)]) -> u16 {
    let path = format!("/in/{source}");
    host.client.post(host.ingress(), &path, headers, "x").await.expect("an answer").status
}

async fn reload(host: &Host) -> (u16, Value) {
    let answer = host.client.post(host.admin(), "/api/v1/reload", &[], "").await;
    let answer = answer.expect("an answer");
    (answer.status, answer.json())
}

/// A ConfigMap is mounted behind links that are swapped; the files behind them
/// may have the same time and the same size.
#[tokio::test(flavor = "multi_thread")]
async fn regression_settings_that_are_swapped_by_a_link_with_the_same_time_and_size_are_taken() {
    let host = HostBuilder::new("[sources.aa]\nverify = { scheme = \"none\" }\n").start().await;
    let path = host.dir().join("hookwright.toml");
    let text = std::fs::read_to_string(&path).expect("the settings");
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    for (folder, text) in
        [("v1", text.clone()), ("v2", text.replace("[sources.aa]", "[sources.bb]"))]
    {
        std::fs::create_dir(host.dir().join(folder)).expect("a folder");
        let file = host.dir().join(folder).join("hookwright.toml");
        std::fs::write(&file, text).expect("a write");
        let file = std::fs::File::options().write(true).open(file).expect("a file");
        file.set_modified(time).expect("a time");
    }
    let link = |name: &str, to: &str| {
        let new = host.dir().join(format!("{name}.new"));
        std::os::unix::fs::symlink(to, &new).expect("a link");
        std::fs::rename(new, host.dir().join(name)).expect("a rename");
    };
    link("now", "v1");
    link("hookwright.toml", "now/hookwright.toml");
    assert_eq!((post(&host, "aa", &[]).await, post(&host, "bb", &[]).await), (202, 404));
    link("now", "v2");
    eventually("the new source is there", WAIT, || async {
        (post(&host, "bb", &[]).await == 202).then_some(())
    })
    .await;
    assert_eq!(post(&host, "aa", &[]).await, 404);
}

/// A secret in a file of its own is rotated where it is mounted: nothing else changes.
#[tokio::test(flavor = "multi_thread")]
async fn regression_mounted_secrets_that_rotate_are_read_again() {
    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.s]\nverify = {{ scheme = \"bearer\", secrets = [\"file:plugins/token\"] }}\n\
         destinations = [\"ci\"]\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\n\
         headers = {{ x-key = \"file:plugins/key\" }}\n",
        sink.url()
    );
    let builder = HostBuilder::new(&settings).file("token", b"first token").file("key", b"one");
    let host = builder.start().await;
    assert_eq!(post(&host, "s", &[("authorization", "Bearer first token")]).await, 202);
    std::fs::write(host.plugins().join("token"), "second token").expect("a write");
    eventually("the new token is taken", WAIT, || async {
        (post(&host, "s", &[("authorization", "Bearer second token")]).await == 202).then_some(())
    })
    .await;
    assert_eq!(post(&host, "s", &[("authorization", "Bearer first token")]).await, 401);
    std::fs::write(host.plugins().join("key"), "two").expect("a write");
    eventually("the new key is sent", WAIT, || async {
        post(&host, "s", &[("authorization", "Bearer second token")]).await;
        sink.received().iter().any(|got| got.header("x-key") == "two").then_some(())
    })
    .await;
    // One that can't be read for a moment leaves the old ones active, and is read once it is there.
    std::fs::remove_file(host.plugins().join("token")).expect("a file");
    host.logged(&["the old settings stay active", "can't be read"]).await;
    assert_eq!(post(&host, "s", &[("authorization", "Bearer second token")]).await, 202);
    std::fs::write(host.plugins().join("token"), "third token").expect("a write");
    eventually("the third token is taken", WAIT, || async {
        (post(&host, "s", &[("authorization", "Bearer third token")]).await == 202).then_some(())
    })
    .await;
}

/// For an image without a shell, where no signal can be sent.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_read_again_over_the_api_and_by_a_command() {
    let sink = Receiver::good().await;
    let settings = format!(
        "[sources.s]\nverify = {{ scheme = \"none\" }}\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\nca = \"plugins/ca.pem\"\n\
         [traces]\nendpoint = \"http://127.0.0.1:9/v1/traces\"\nheaders = {{ x-key = \"file:plugins/key\" }}\n",
        sink.url()
    );
    let ca = std::fs::read(testdata("cert.pem")).expect("a certificate");
    let builder = HostBuilder::new(&settings).file("ca.pem", &ca).file("key", b"one");
    let host = builder.start().await;
    assert_eq!(reload(&host).await, (200, json!({ "changed": [], "restart": [], "warnings": [] })));

    // A destination's authority and a header of the traces hold something else.
    let two = [&ca[..], &ca[..]].concat();
    std::fs::write(host.plugins().join("ca.pem"), two).expect("a write");
    std::fs::write(host.plugins().join("key"), "two").expect("a write");
    let path = host.dir().join("hookwright.toml");
    let text = std::fs::read_to_string(&path).expect("the settings");
    let more = format!(
        "{text}\n[retention]\nkeep = \"9d\"\n[sources.t]\nverify = {{ scheme = \"none\" }}\n"
    );
    std::fs::write(&path, &more).expect("a write");
    let (status, answer) = reload(&host).await;
    assert_eq!(status, 200, "{answer}");
    let changed: Vec<&str> =
        answer["changed"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    // The files may have been seen before; what is new in the settings was not.
    assert!(changed.contains(&"sources.t") && changed.contains(&"retention"), "{answer}");
    assert_eq!(answer["restart"], json!(["retention"]), "{answer}");
    assert_eq!(post(&host, "t", &[]).await, 202, "it is active once it is answered");

    std::fs::write(&path, more.replace("[sources.t]", "[sources.t]\nunknown = 1\nrate = \"x\""))
        .expect("a write");
    let (status, problem) = reload(&host).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid")), "{problem}");
    let errors = problem["errors"].as_array().expect("a list").clone();
    assert_eq!(errors.len(), 2, "all mistakes at once: {problem}");
    assert!(
        errors[0]["place"].as_str().is_some_and(|place| place.contains("hookwright.toml:")),
        "{problem}"
    );
    assert_eq!(post(&host, "t", &[]).await, 202, "the old ones stay active");

    let url = format!("http://{}", host.admin());
    let (code, out, err) = host.run(&["--host", &url, "reload"]);
    assert_eq!(code, 1, "{out}{err}");
    assert!(
        out.contains("sources.t.unknown") && out.contains("the old settings stay active"),
        "{out}"
    );
    std::fs::write(&path, text).expect("a write");
    let (code, out, err) = host.run(&["--host", &url, "reload", "--json"]);
    assert_eq!(code, 0, "{out}{err}");
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    assert!(answer["changed"].to_string().contains("sources.t"), "{answer}");
    assert_eq!(post(&host, "t", &[]).await, 404);
    let audit = host.api("audit?action=reload").await.expect("the audit log");
    assert!(audit.to_string().contains("POST /reload"), "{audit}");
}

/// A secret of `[traces] headers` that was rotated was neither applied nor told.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_rotated_key_of_the_collector_is_sent() {
    let (collector, sink) = (Receiver::good().await, Receiver::good().await);
    let settings = format!(
        "[sources.s]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"ci\"]\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\n\
         [traces]\nendpoint = \"{}\"\nsample = \"100%\"\nheaders = {{ x-key = \"file:plugins/key\" }}\n",
        sink.url(),
        collector.url()
    );
    let host = HostBuilder::new(&settings).file("key", b"one").start().await;
    std::fs::write(host.plugins().join("key"), "two").expect("a write");
    let (status, answer) = reload(&host).await;
    assert_eq!((status, &answer["restart"]), (200, &json!([])), "{answer}");
    eventually("the new key is sent", WAIT, || async {
        post(&host, "s", &[]).await;
        collector.received().iter().any(|got| got.header("x-key") == "two").then_some(())
    })
    .await;
}

/// `check` said "no mistakes", and `serve` refused.
#[test]
fn regression_check_finds_in_every_file_what_serve_refuses() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("a write");
    };
    for name in ["cert.pem", "key.pem", "other-key.pem"] {
        write(name, &std::fs::read(testdata(name)).expect("a file"));
    }
    write("empty.pem", b"");
    write("junk.pem", b"PEM");
    write("torn.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let sealed =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    write("sealed.pem", sealed.as_bytes());
    let ports = "[ingress]\nlisten = \"127.0.0.1:0\"\n{}[admin]\nlisten = \"127.0.0.1:0\"\n";
    let served = |tls: &str| ports.replace("{}", &format!("tls = {{ {tls} }}\n"));
    let sent = |more: &str| {
        ports.replace("{}", "")
            + "[destinations.ci]\nurl = \"https://ci.example.com\"\n"
            + more
            + "\n"
    };
    let cases = [
        (served("cert = \"cert.pem\", key = \"other-key.pem\""), "ingress.tls"),
        (served("cert = \"cert.pem\", key = \"sealed.pem\""), "ingress.tls.key"),
        (served("cert = \"cert.pem\", key = \"empty.pem\""), "ingress.tls.key"),
        (served("cert = \"junk.pem\", key = \"key.pem\""), "ingress.tls.cert"),
        (served("cert = \"torn.pem\", key = \"key.pem\""), "ingress.tls"),
        (
            served("cert = \"cert.pem\", key = \"key.pem\", client_ca = \"junk.pem\""),
            "ingress.tls.client_ca",
        ),
        (sent("ca = \"empty.pem\""), "destinations.ci.ca"),
        (sent("ca = \"junk.pem\""), "destinations.ci.ca"),
        (sent("ca = \"torn.pem\""), "destinations.ci.ca"),
        (
            sent("tls = { cert = \"cert.pem\", key = \"file:other-key.pem\" }"),
            "destinations.ci.tls.cert",
        ),
        (
            sent("tls = { cert = \"cert.pem\", key = \"file:sealed.pem\" }"),
            "destinations.ci.tls.cert",
        ),
        (sent("tls = { cert = \"junk.pem\", key = \"file:key.pem\" }"), "destinations.ci.tls.cert"),
    ];
    let run = |args: &[&str]| {
        let done = std::process::Command::new(artifact("hookwright"));
        let mut done = done;
        let done = done.args(args).current_dir(folder.path()).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    };
    for (settings, key) in &cases {
        write("hookwright.toml", settings.as_bytes());
        let (code, out, err) = run(&["check", "--json"]);
        assert_eq!(code, Some(1), "{settings}\n{out}{err}");
        let answer: Value = serde_json::from_str(&out).expect("JSON");
        let mistake = &answer["mistakes"][0];
        assert_eq!(
            (&mistake["key"], answer["mistakes"].as_array().map(Vec::len)),
            (&json!(key), Some(1)),
            "{out}"
        );
        assert!(mistake["line"].is_u64() && mistake["help"].is_string(), "{out}");
        let (code, out, err) = run(&["serve"]);
        assert_eq!(code, Some(1), "{settings}\n{out}{err}");
        assert!(err.contains(key), "serve says the same: {err}");
    }
    // Both at once, and what is good is good.
    write(
        "hookwright.toml",
        (cases[0].0.clone()
            + "[destinations.ci]\nurl = \"https://ci.example.com\"\nca = \"junk.pem\"\n")
            .as_bytes(),
    );
    let answer: Value = serde_json::from_str(&run(&["check", "--json"]).1).expect("JSON");
    assert_eq!(answer["mistakes"].as_array().map(Vec::len), Some(2), "{answer}");
    let good = served("cert = \"cert.pem\", key = \"key.pem\", client_ca = \"cert.pem\"")
        + "[destinations.ci]\nurl = \"https://ci.example.com\"\nca = \"cert.pem\"\n\
           tls = { cert = \"cert.pem\", key = \"file:key.pem\" }\n";
    write("hookwright.toml", good.as_bytes());
    assert_eq!(run(&["check"]).0, Some(0), "{:?}", run(&["check"]));
}

/// The address that `serve` prints is one that can be used.
#[tokio::test(flavor = "multi_thread")]
async fn regression_serve_prints_https_where_it_serves_tls() {
    let settings = format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\ntls = {{ cert = \"{}\", key = \"{}\" }}\n",
        testdata("cert.pem").display(),
        testdata("key.pem").display()
    );
    let host = HostBuilder::new(&settings).start().await;
    assert!(host.greeting().contains("events at https://127.0.0.1:"), "{}", host.greeting());
}
