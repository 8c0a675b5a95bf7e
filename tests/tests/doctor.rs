//! `hookwright doctor` and `hookwright backup`, as an operator uses them.
use std::process::Command;
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, artifact, eventually};
use serde_json::Value;

/// What it finds, by what it is about and how bad it is.
fn examine(folder: &std::path::Path, settings: &str) -> (i32, Vec<Value>) {
    std::fs::write(folder.join("hookwright.toml"), settings).expect("a write");
    let done = Command::new(artifact("hookwright"))
        .args(["doctor", "--json"])
        .current_dir(folder)
        .output()
        .expect("it runs");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        )
    });
    let findings = told["findings"].as_array().expect("a list").clone();
    (done.status.code().expect("an exit code"), findings)
}

fn find<'f>(findings: &'f [Value], about: &str, word: &str) -> &'f Value {
    let fits = |one: &&Value| {
        one["about"] == about && one["what"].as_str().is_some_and(|what| what.contains(word))
    };
    findings
        .iter()
        .find(fits)
        .unwrap_or_else(|| panic!("no `{word}` about {about} in {findings:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_is_named_with_its_cure_and_the_rest_is_fine() {
    let good = Receiver::good().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let closed = closed.expect("a port that nobody listens on");
    let settings = format!(
        "[ingress]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [sources.a]\nverify = {{ scheme = \"none\" }}\nplugins = [\"gone\"]\ndestinations = [\"good\"]\n\
         [plugins.gone]\n\
         [destinations.good]\nurl = \"{}\"\nallow_private = true\n\
         [destinations.private]\nurl = \"{}\"\n\
         [destinations.closed]\nurl = \"http://{closed}/\"\nallow_private = true\n\
         [destinations.nowhere]\nurl = \"http://name.invalid/\"\n",
        good.url(),
        good.url(),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let (code, findings) = examine(folder.path(), &settings);
    assert_eq!(code, 1, "{findings:#?}");
    for (about, word, level) in [
        ("settings", "no mistakes", "fine"),
        ("disk", "MiB free", "fine"),
        ("addresses", "is free", "fine"),
        ("plugins", "gone.wasm is missing", "bad"),
        ("destinations", "good: 127.0.0.1", "fine"),
        ("destinations", "private: ", "bad"),
        ("destinations", "closed: no connection", "bad"),
        ("destinations", "nowhere: `name.invalid` has no address", "bad"),
    ] {
        let found = find(&findings, about, word);
        assert_eq!(found["level"], level, "{found}");
        assert_eq!(found["cure"].is_string(), level != "fine", "{found}");
    }
    find(&findings, "disk", "a write of 4 KiB and its sync");
    find(&findings, "clock", "");
    find(&findings, "open files", "the settings need");
    assert_eq!(good.count(), 0, "nothing was sent");
}

#[test]
fn a_certificate_that_is_over_and_one_that_ends_soon_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = |name: &str, days: &str| {
        let key = folder.path().join(format!("{name}.key"));
        let cert = folder.path().join(format!("{name}.pem"));
        let done = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-subj", "/CN=localhost", "-days", days, "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .expect("openssl runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    made("soon", "5");
    made("later", "90");
    for (name, level, word) in
        [("soon", "warning", "in 4 days"), ("later", "fine", "is good until")]
    {
        let settings = format!(
            "[ingress]\nlisten = \"127.0.0.1:0\"\ntls = {{ cert = \"{name}.pem\", key = \"{name}.key\" }}\n\
             [admin]\nlisten = \"127.0.0.1:0\"\n"
        );
        let (code, findings) = examine(folder.path(), &settings);
        assert_eq!(find(&findings, "certificates", word)["level"], level);
        assert_eq!(code, 0, "{findings:#?}");
    }
    // The key of the one with the certificate of the other.
    let mixed = "[ingress]\nlisten = \"127.0.0.1:0\"\ntls = { cert = \"soon.pem\", key = \"later.key\" }\n\
                 [admin]\nlisten = \"127.0.0.1:0\"\n";
    let (code, findings) = examine(folder.path(), mixed);
    assert_eq!(
        (code, &find(&findings, "certificates", "can't be used")["level"]),
        (1, &Value::from("bad"))
    );
}

#[test]
fn mistakes_in_the_settings_are_findings() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, findings) = examine(folder.path(), "[ingress]\nlisten = \"nonsense\"\nlisen = 1\n");
    assert_eq!(code, 1);
    find(&findings, "settings", "hookwright.toml:2");
    find(&findings, "settings", "hookwright.toml:3");
}

async fn deliver(host: &Host, receiver: &Receiver, body: &'static str) {
    let before = receiver.count();
    let posted = host.client.post(host.ingress(), "/in/a", &[], body).await.expect("posted");
    assert_eq!(posted.status, 202);
    eventually("it is delivered", Duration::from_secs(20), || async {
        (receiver.count() > before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_running_host_is_a_data_directory() {
    let receiver = Receiver::good().await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\ndestinations = [\"ci\"]\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\n",
        receiver.url()
    );
    let host = HostBuilder::new(&settings).start().await;
    deliver(&host, &receiver, "one").await;
    let made = host.client.post(host.admin(), "/api/v1/backups", &[], r#"{"name": "first"}"#).await;
    let made = made.expect("an answer");
    let text = String::from_utf8_lossy(&made.body).into_owned();
    assert_eq!(made.status, 200, "{text}");
    let made: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(made["events"], 1);
    for (name, status) in [("first", 409), ("../elsewhere", 400)] {
        let body = serde_json::json!({ "name": name }).to_string();
        let again = host.client.post(host.admin(), "/api/v1/backups", &[], body).await;
        assert_eq!(again.expect("an answer").status, status, "{name}");
    }
    deliver(&host, &receiver, "two").await;

    // A second host, on the copy.
    let restored = host.dir().join(made["path"].as_str().expect("a path"));
    let second = HostBuilder::new(&format!("data_dir = \"{}\"\n{settings}", restored.display()));
    let second = second.start().await;
    let events = second.api("events").await.expect("events");
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1), "{events}");
    deliver(&second, &receiver, "three").await;
}

/// A core dump held every secret of the host, and the folder of its data was taken as it was.
#[tokio::test(flavor = "multi_thread")]
async fn regression_a_crash_leaves_no_secrets_and_a_data_directory_for_others_is_told() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let builder = HostBuilder::new("");
    let data = builder.dir().join("data");
    std::fs::create_dir(&data).expect("a folder");
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    let host = builder.start().await;
    assert_eq!(core_limit(&host.pid().to_string()), ["0", "0"]);
    // What nobody may look into belongs to root, whoever runs it.
    let memory = format!("/proc/{}/mem", host.pid());
    eventually("its memory is closed", Duration::from_secs(60), || async {
        (std::fs::metadata(&memory).ok()?.uid() == 0).then_some(())
    })
    .await;
    eventually("it is told at the start", Duration::from_secs(60), || async {
        host.log().contains("has mode 0755: others may look into it").then_some(())
    })
    .await;
    let told: Value =
        serde_json::from_str(&host.run(&["doctor", "--json", "--offline"]).1).expect("JSON");
    let findings = told["findings"].as_array().expect("a list");
    assert_eq!(find(findings, "disk", "has mode 0755")["level"], "warning");
    // A debugger may be let in.
    let open = HostBuilder::new("core_dumps = true\n").start().await;
    assert_eq!(core_limit(&open.pid().to_string()), core_limit("self"));
    let shown = std::fs::metadata(open.dir().join("data")).expect("a folder").permissions();
    assert_eq!(shown.mode() & 0o777, 0o700, "as the host makes it");
}

/// The soft and the hard limit of core dumps of a process, by its number or as `self`.
fn core_limit(process: &str) -> Vec<String> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits"));
    let limits = limits.expect("a running process");
    let line = limits.lines().find(|line| line.starts_with("Max core file size"));
    line.expect("that limit").split_whitespace().skip(4).take(2).map(str::to_owned).collect()
}
