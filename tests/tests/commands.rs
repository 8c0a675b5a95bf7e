//! The commands, as a person types them, against a real host.
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use hookwright_tests::{Answer, Host, HostBuilder, Receiver, artifact, eventually, plugins_dir};
use serde_json::Value;

fn settings(receiver: &Receiver) -> String {
    format!(
        "[sources.github]\n\
         verify = {{ scheme = \"github\", secrets = [\"env:GITHUB_SECRET\"] }}\n\
         plugins = [\"filter\"]\ndestinations = [\"ci\"]\n\
         [plugins.filter]\nconfig = {{ keep = [{{ field = \"kind\", equals = \"push\" }}] }}\n\
         [destinations.ci]\nurl = \"{}\"\nallow_private = true\n\
         sign = {{ scheme = \"none\" }}\nretry = {{ base = \"10ms\", attempts = 2 }}\n",
        receiver.url()
    )
}

async fn host(receiver: &Receiver) -> Host {
    HostBuilder::new(&settings(receiver))
        .env("GITHUB_SECRET", "s3cret of the test")
        .plugin("filter")
        .start()
        .await
}

/// Commands find the host by the settings: its real ports are written there.
fn fix_ports(host: &Host) {
    let path = host.dir().join("hookwright.toml");
    let text = std::fs::read_to_string(&path).expect("the settings");
    let text = text
        .replace(
            "[ingress]\nlisten = \"127.0.0.1:0\"",
            &format!("[ingress]\nlisten = \"{}\"", host.ingress()),
        )
        .replace(
            "[admin]\nlisten = \"127.0.0.1:0\"",
            &format!("[admin]\nlisten = \"{}\"", host.admin()),
        );
    std::fs::write(&path, text).expect("a write");
}

#[tokio::test(flavor = "multi_thread")]
async fn send_events_show_replay_and_tail() {
    let failing = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let flag = failing.clone();
    let receiver = Receiver::scripted(move |_, _| {
        Answer::status(if flag.load(std::sync::atomic::Ordering::SeqCst) { 500 } else { 200 })
    })
    .await;
    let host = host(&receiver).await;
    fix_ports(&host);

    let (code, out, err) = host.run(&["send", "github"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.starts_with("202 "), "{out}");
    let answer: Value = serde_json::from_str(&out[4..]).expect("the answer's JSON");
    let id = answer["id"].as_str().expect("an id").to_owned();
    eventually("the delivery is dead", Duration::from_secs(10), || async {
        let event = host.api(&format!("events/{id}")).await.ok()?;
        (event["deliveries"][0]["state"] == "dead").then_some(())
    })
    .await;

    let (code, out, _) = host.run(&["events", "--delivery", "dead"]);
    assert_eq!(code, 0);
    assert!(out.contains(&id) && out.contains("ci:dead(2)"), "{out}");
    let (_, out, _) = host.run(&["events", "--source", "nobody"]);
    assert_eq!(out, "no events\n");
    let (_, out, _) = host.run(&["--json", "events", "--since", "1h"]);
    let page: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(page["events"].as_array().map(Vec::len), Some(1));

    let (code, out, _) = host.run(&["show", &id]);
    assert_eq!(code, 0);
    for part in ["github push", "filter (", "pass", "to ci: dead", "attempt 2: 500"] {
        assert!(out.contains(part), "`{part}` is not in\n{out}");
    }
    let (code, _, err) = host.run(&["show", "evt_00000000000000000000000000"]);
    assert_eq!(code, 1);
    assert!(err.contains("no event"), "{err}");

    let mut tail = host
        .command(&["tail", "--count", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tail starts");
    failing.store(false, std::sync::atomic::Ordering::SeqCst);
    let (code, out, err) = host.run(&["replay", "--delivery", "dead", "--to", "ci"]);
    assert_eq!((code, out.as_str()), (0, "replayed 1\n"), "{err}");
    host.settled(Duration::from_secs(10)).await;
    let event = host.api(&format!("events/{id}")).await.expect("the event");
    assert_eq!(event["deliveries"][0]["state"], "delivered");
    let ids: Vec<_> =
        receiver.received().iter().map(|got| got.header("webhook-id").to_owned()).collect();
    assert_eq!(ids, vec![id.clone(); 3], "a replay repeats the same webhook-id");
    let (code, _, err) = host.run(&["replay", &id]);
    assert_eq!(code, 0, "{err}");
    eventually("the replay arrives", Duration::from_secs(10), || async {
        (receiver.count() == 4).then_some(())
    })
    .await;

    // Sent until the tail, which looks from its own start on, has seen one.
    let stdout = tail.stdout.take().expect("a piped output");
    let line = tokio::task::spawn_blocking(move || BufReader::new(stdout).lines().next());
    let line = eventually("tail shows a line", Duration::from_secs(20), || async {
        if !line.is_finished() {
            host.run(&["send", "github"]);
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        line.is_finished().then_some(())
    });
    line.await;
    assert_eq!(tail.wait().expect("tail ends").code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_sources_plugins_stats_and_audit() {
    let receiver = Receiver::good().await;
    let host = host(&receiver).await;
    fix_ports(&host);
    host.run(&["send", "github"]);
    host.settled(Duration::from_secs(10)).await;
    let run = |args: &[&str]| {
        let (code, out, err) = host.run(args);
        assert_eq!(code, 0, "{args:?}: {out}{err}");
        assert!(!out.contains('\u{1b}'), "no colours where nobody looks: {out}");
        out
    };
    let out = run(&["destinations"]);
    assert!(out.starts_with("NAME") && out.contains("ci    running"), "{out}");
    assert_eq!(run(&["destinations", "disable", "ci"]), "ci: disabled\n");
    assert!(run(&["destinations"]).contains("ci    disabled"));
    assert_eq!(run(&["destinations", "enable", "ci"]), "ci: running\n");
    let (code, _, err) = host.run(&["destinations", "enable", "nobody"]);
    assert_eq!(code, 1, "{err}");
    let page: Value = serde_json::from_str(&run(&["--json", "destinations"])).expect("JSON");
    assert_eq!(page["destinations"][0]["name"], "ci");
    let out = run(&["sources"]);
    assert!(out.contains(&format!("http://{}/in/github", host.ingress())), "{out}");
    let out = run(&["sources", "github"]);
    assert!(out.contains("github (GitHub)") && out.contains("Add webhook"), "{out}");
    let out = run(&["plugins"]);
    assert!(out.contains("filter  active  0.1.0"), "{out}");
    let out = run(&["stats"]);
    assert!(out.contains("events kept   1 ("), "{out}");
    assert_eq!(run(&["ready"]), "ready\n");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr();
    let nobody = format!("http://{}", nobody.expect("bound"));
    let (code, _, err) = host.run(&["--host", &nobody, "ready"]);
    assert!(code == 1 && err.contains("can't reach the host"), "{err}");
    let out = run(&["audit", "--action", "disable"]);
    assert!(out.contains("local  200  POST /destinations/ci/disable"), "{out}");
    assert_eq!(out.lines().count(), 1, "{out}");
    let out = run(&["events", "--text", "refs/heads"]);
    assert!(out.contains("looked into 1 bodies, all that fit"), "{out}");
    // The same host by its URL, from a folder without settings.
    let folder = tempfile::tempdir().expect("a folder");
    let mut far = host.command(&["--host", &format!("http://{}", host.admin()), "stats"]);
    let far = far.current_dir(folder.path()).output().expect("it runs");
    assert!(far.status.success(), "{}", String::from_utf8_lossy(&far.stderr));
}

#[test]
fn tokens_completions_and_pages_are_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(artifact("hookwright"));
        let done = command.args(args).current_dir(folder.path()).output().expect("it runs");
        assert!(done.status.success(), "{args:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let made: Value = serde_json::from_str(&run(&["--json", "token", "new"])).expect("JSON");
    let token = made["token"].as_str().expect("a token");
    use sha2::Digest as _;
    let hash: String =
        sha2::Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(made["hash"], format!("sha256:{hash}"));
    assert!(token.len() > 40, "{token}");
    for shell in ["bash", "zsh", "fish"] {
        let out = run(&["completions", shell]);
        assert!(out.contains("destinations") && out.contains("hookwright"), "{shell}");
    }
    assert!(run(&["man"]).contains(".TH hookwright 1"));
    run(&["man", "--dir", "man"]);
    for page in ["hookwright.1", "hookwright-events.1", "hookwright-plugin-new.1"] {
        assert!(folder.path().join("man").join(page).exists(), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reports_ten_mistakes_with_ten_cures() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = r#"
dta_dir = "x"
[ingress]
max_body = 5
header_timeout = "ten"
[sources.a]
plugins = ["missing"]
[sources.b]
verify = { scheme = "githob", secrets = ["env:NOT_SET_ANYWHERE"] }
[sources.c]
verify = { scheme = "github", secrets = ["in the clear"] }
rate = "5"
[destinations.d]
url = "ftp://example.com"
in_flight = 0
[plugins.p]
on_failure = "explode"
"#;
    std::fs::write(folder.path().join("hookwright.toml"), text).expect("a write");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(artifact("hookwright"));
        let done = command.args(args).current_dir(folder.path()).output().expect("it runs");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, out) = run(&["check", "--json"]);
    assert_eq!(code, Some(1));
    let answer: Value = serde_json::from_str(&out).expect("JSON");
    let mistakes = answer["mistakes"].as_array().expect("a list");
    assert!(mistakes.len() >= 10, "{} mistakes: {out}", mistakes.len());
    for mistake in mistakes {
        assert!(mistake["line"].as_u64().is_some_and(|line| line > 1), "{mistake}");
        assert!(mistake["help"].as_str().is_some_and(|help| !help.is_empty()), "{mistake}");
    }
    let (code, out) = run(&["check"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("hookwright.toml:2:"), "{out}");
    assert!(out.contains("data_dir"), "a suggestion for `dta_dir`: {out}");
    assert!(!out.contains("in the clear"), "a secret is not shown: {out}");
    let (code, _) = run(&["serve"]);
    assert_eq!(code, Some(1), "a host with mistakes does not start");
    assert_eq!(run(&["no-such-command"]).0, Some(2), "wrong usage");
}

/// Settings of a plugin, with the real component beside them.
fn settings_of_filter(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("plugins")).expect("a new folder");
    std::fs::copy(plugins_dir().join("filter.wasm"), folder.path().join("plugins/filter.wasm"))
        .expect("a built plugin");
    let text = format!(
        "[sources.a]\nverify = {{ scheme = \"none\" }}\nplugins = [\"filter\"]\n\
         [plugins.filter]\n{config}\n"
    );
    std::fs::write(folder.path().join("hookwright.toml"), text).expect("a write");
    folder
}

#[test]
fn check_holds_the_settings_of_a_plugin_against_its_component() {
    let check = |folder: &tempfile::TempDir| {
        let mut command = std::process::Command::new(artifact("hookwright"));
        let done = command.args(["check", "--json"]).current_dir(folder.path()).output();
        let done = done.expect("it runs");
        let answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
        (done.status.code(), answer)
    };
    // By the schema: all mistakes at once, each at its key.
    let folder = settings_of_filter(
        "[plugins.filter.config]\nkeep = [{ feild = \"kind\", equals = \"push\" }]\ndrop = \"all\"\nkep = 1",
    );
    let (code, answer) = check(&folder);
    assert_eq!(code, Some(1), "{answer}");
    let told: Vec<_> = answer["mistakes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            (one["line"].as_u64().unwrap_or_default(), text("key"), text("message"), text("help"))
        })
        .collect();
    let key = |name: &str| format!("plugins.filter.config.{name}");
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!((told[0].0, &told[0].1), (6, &key("keep[0].feild")));
    assert_eq!((told[0].2.as_str(), told[0].3.as_str()), ("unknown key", "did you mean `field`?"));
    assert_eq!((told[1].0, &told[1].1), (7, &key("drop")));
    assert_eq!(told[1].2, "expected a list, found text");
    assert_eq!((told[2].0, &told[2].1), (8, &key("kep")));
    assert_eq!(told[2].3, "did you mean `keep`?");
    // By the plugin's own `init`, where the schema has nothing to say.
    let folder = settings_of_filter("config = { keep = [{ field = \"kinds\", equals = 1 }] }");
    let (code, answer) = check(&folder);
    assert_eq!(code, Some(1), "{answer}");
    assert_eq!(answer["mistakes"][0]["line"], 5, "{answer}");
    let message = answer["mistakes"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("`kinds` is no field"), "{answer}");
    // Right ones, and a file that is not there yet.
    let good = "config = { keep = [{ field = \"kind\", equals = \"push\" }] }";
    let folder = settings_of_filter(good);
    assert_eq!(check(&folder).0, Some(0));
    std::fs::remove_file(folder.path().join("plugins/filter.wasm")).expect("it was there");
    let (code, answer) = check(&folder);
    assert_eq!(code, Some(0), "{answer}");
    assert!(answer["warnings"].to_string().contains("is missing"), "{answer}");
    std::fs::write(folder.path().join("plugins/filter.wasm"), "text").expect("a write");
    let (code, answer) = check(&folder);
    assert_eq!((code, &answer["mistakes"][0]["line"]), (Some(1), &Value::from(4)), "{answer}");
}

/// The fault: `check` stopped at `init` and said "no mistakes" of a component whose first
/// event fails, which `serve` never activates.
#[test]
fn regression_check_finds_the_plugin_that_fails_its_probe_event() {
    let folder = settings_of_filter("");
    let guest = hookwright_testkit::guest::guest("hostile/loop-always");
    std::fs::write(folder.path().join("plugins/filter.wasm"), guest).expect("a write");
    let mut command = std::process::Command::new(artifact("hookwright"));
    let done = command.args(["check", "--json"]).current_dir(folder.path()).output();
    let done = done.expect("it runs");
    let answer: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!(done.status.code(), Some(1), "{answer}");
    let message = answer["mistakes"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("probe event"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_tells_where_a_plugins_settings_are_wrong_and_keeps_the_old_ones() {
    let receiver = Receiver::good().await;
    let host = host(&receiver).await;
    let path = host.dir().join("hookwright.toml");
    let text = std::fs::read_to_string(&path).expect("the settings");
    std::fs::write(&path, text.replace("field = \"kind\"", "feild = \"kind\"")).expect("a write");
    host.hang_up();
    host.logged(&[
        "the old settings stay active",
        "plugins.filter.config.keep[0].feild",
        "did you mean `field`?",
        "hookwright.toml:",
    ])
    .await;
    let plugins = host.api("plugins").await.expect("an answer");
    assert!(plugins["plugins"][0]["digest"].is_string(), "{plugins}");
}

#[test]
fn help_teaches_every_command() {
    let help = |args: &[&str]| {
        let done = std::process::Command::new(artifact("hookwright")).args(args).output();
        let done = done.expect("it runs");
        assert!(done.status.success(), "{args:?}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let top = help(&["--help"]);
    for command in
        ["serve", "check", "send", "events", "show", "replay", "tail", "demo", "plugin", "listen"]
    {
        assert!(top.contains(&format!("  {command}")), "{command} is not in\n{top}");
        assert!(help(&[command, "--help"]).len() > 100, "{command}");
    }
    for command in ["new", "build", "check", "inspect", "test", "bench", "replay"] {
        assert!(help(&["plugin", command, "--help"]).len() > 100, "plugin {command}");
    }
}

/// What `make run` starts, ended after its story.
#[test]
fn the_demo_tells_its_story() {
    let folder = tempfile::tempdir().expect("a folder");
    let done = std::process::Command::new(artifact("hookwright"))
        .args(["demo", "--once", "--dir", "demo", "--plugins"])
        .arg(plugins_dir())
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    let out = String::from_utf8_lossy(&done.stdout).into_owned();
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{out}\n{err}");
    for part in [
        "answered 202",
        "signature verified",
        "webhook-signature",
        "filter (",
        "thin-github (",
        "to receiver: delivered",
    ] {
        assert!(out.contains(part), "`{part}` is not in\n{out}\n{err}");
    }
}
