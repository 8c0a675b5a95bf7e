//! What `deploy/` ships: it names metrics and labels that the host exports, settings without mistakes, and a package that runs.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hookwright_model::metrics::{COUNTERS, GAUGES, HISTOGRAMS};
use hookwright_tests::{Answer, HostBuilder, Receiver, artifact};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").join("deploy").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Each metric that a text names, with the labels that stand in braces after it.
fn named(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (at, _) in text.match_indices("hookwright_") {
        let rest = &text[at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let labels = found.entry(name.to_owned()).or_default();
        let Some(inner) = after.strip_prefix('{') else { continue };
        for part in inner.split('}').next().unwrap_or_default().split(',') {
            let label = part.split(['=', '!', '~']).next().unwrap_or_default().trim();
            labels.insert(label.to_owned());
        }
    }
    found
}

/// A histogram is exported as three series.
fn base(name: &str) -> &str {
    let histogram = |end: &str| {
        name.strip_suffix(end).filter(|base| HISTOGRAMS.iter().any(|(known, _)| known == base))
    };
    ["_bucket", "_sum", "_count"].into_iter().find_map(histogram).unwrap_or(name)
}

fn files() -> [&'static str; 2] {
    ["grafana/hookwright.json", "prometheus/alerts.yml"]
}

#[test]
fn dashboard_and_rules_name_only_metrics_that_exist() {
    let known: BTreeSet<&str> = [COUNTERS, GAUGES, HISTOGRAMS]
        .iter()
        .flat_map(|table| table.iter())
        .map(|(n, _)| *n)
        .collect();
    for file in files() {
        let text = read(file).replace("\\\"", "\"");
        let named = named(&text);
        assert!(named.len() > 10, "{file} names {} metrics only", named.len());
        for name in named.keys() {
            assert!(known.contains(base(name)), "{file}: no metric is called {name}");
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read(files()[0])).expect("the dashboard is JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 20));
}

/// A host that has taken, refused, delivered and given up shows most of them with their labels.
#[tokio::test(flavor = "multi_thread")]
async fn dashboard_and_rules_use_labels_as_the_host_exports_them() {
    let good = Receiver::good().await;
    let bad = Receiver::scripted(|_, _| Answer::status(500)).await;
    let settings = format!(
        "[sources.a]\nverify = {{ scheme = \"bearer\", secrets = [\"dangerous_plain:x\"] }}\n\
         plugins = [\"thin-github\"]\ndestinations = [\"good\", \"bad\"]\n[plugins.thin-github]\n\
         [destinations.good]\nurl = \"{}\"\nallow_private = true\n\
         [destinations.bad]\nurl = \"{}\"\nallow_private = true\nretry = {{ base = \"10ms\", attempts = 2 }}\n",
        good.url(),
        bad.url()
    );
    let host = HostBuilder::new(&settings).plugin("thin-github").start().await;
    let allowed = [("authorization", "Bearer x")];
    let posted = host.client.post(host.ingress(), "/in/a", &allowed, "{}").await.expect("posted");
    assert_eq!(posted.status, 202);
    let refused = host.client.post(host.ingress(), "/in/a", &[], "{}").await.expect("posted");
    assert_eq!(refused.status, 401);
    host.settled(Duration::from_secs(20)).await;
    let page = host.client.get(host.admin(), "/metrics").await.expect("metrics");
    let exported = named(&String::from_utf8_lossy(&page.body));

    let mut compared = 0;
    for file in files() {
        let text = read(file).replace("\\\"", "\"");
        for (name, labels) in named(&text) {
            let Some(own) = exported.get(&name) else { continue };
            compared += 1;
            for label in labels {
                // Prometheus adds `instance` to what it scrapes.
                let fits = label == "instance" || own.contains(&label);
                assert!(fits, "{file}: {name} has no label `{label}`, only {own:?}");
            }
        }
    }
    assert!(compared > 20, "only {compared} series could be compared");
}

/// Every settings file in `deploy/`, and the one within the manifests.
#[test]
fn its_settings_have_no_mistakes() {
    let manifest = read("kubernetes/hookwright.yaml");
    let (_, inner) = manifest.split_once("hookwright.toml: |\n").expect("settings in the manifest");
    let inner: String = inner
        .lines()
        .take_while(|line| *line != "---")
        .map(|line| line.strip_prefix("    ").unwrap_or_default().to_owned() + "\n")
        .collect();
    let all = [
        read("docker/hookwright.toml"),
        read("compose/hookwright.toml"),
        read("deb/hookwright.toml"),
        inner,
    ];
    for text in all {
        let folder = tempfile::tempdir().expect("a folder");
        let secrets = folder.path().join("secrets");
        std::fs::create_dir(&secrets).expect("a folder");
        for name in ["admin-token", "github-secret"] {
            std::fs::write(secrets.join(name), "a secret of the test").expect("a write");
        }
        let here = |path: &str| folder.path().join(path).display().to_string();
        let text = text.replace("/run/secrets/hookwright", &here("secrets"));
        std::fs::write(folder.path().join("hookwright.toml"), &text).expect("a write");
        let mut check = Command::new(artifact("hookwright"));
        check.arg("check").current_dir(folder.path());
        for name in ["GITHUB_SECRET", "HOOKWRIGHT_ADMIN_TOKEN"] {
            check.env(name, "a secret of the test");
        }
        let done = check.output().expect("it runs");
        assert!(done.status.success(), "{text}\n{}", String::from_utf8_lossy(&done.stdout));
    }
}

/// Every member of the workspace and every file that the Dockerfile names goes in; builds, history
/// and what else lies about stay out.
#[test]
fn the_image_is_built_from_the_sources_alone() {
    let top = deploy("..");
    let list = std::fs::read_to_string(top.join(".dockerignore")).expect("a list");
    let lines: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines[0], "*", "nothing goes in that is not named");
    let allowed: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix('!')).collect();
    for path in &allowed {
        assert!(top.join(path).exists(), "there is no {path}");
    }
    for build in ["target", "node_modules"] {
        assert!(lines.contains(&format!("**/{build}").as_str()), "{build} is let in");
    }
    let manifest = std::fs::read_to_string(top.join("Cargo.toml")).expect("a manifest");
    let members = manifest.lines().find(|line| line.starts_with("members")).expect("members");
    let members = members.split('"').skip(1).step_by(2);
    let dockerfile = read("docker/Dockerfile");
    let copied = dockerfile.split_whitespace().filter(|word| word.starts_with("deploy/"));
    // The first is the command that the comment at the top tells.
    let copied = copied.filter(|word| !word.ends_with("Dockerfile"));
    for path in members.chain(copied).chain(["Cargo.toml", "Cargo.lock", "wit"]) {
        let within = |allowed: &&str| Path::new(path).starts_with(allowed);
        assert!(allowed.iter().any(within), ".dockerignore keeps {path} out");
    }
}

/// Whether a shell can read it: to run it takes root and a quarter of an hour.
#[test]
fn the_script_that_tries_the_image_is_one() {
    let read = Command::new("sh").arg("-n").arg(deploy("docker/try")).output().expect("a shell");
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

/// As `make deb` makes it, but without compressing, which would take a minute.
#[test]
fn the_debian_package_holds_a_host_that_runs() {
    let out = tempfile::tempdir().expect("a folder");
    let made = Command::new(deploy("deb/build"))
        .arg(artifact("hookwright"))
        .arg(out.path())
        .env("COMPRESSION", "none")
        .output()
        .expect("deploy/deb/build runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let file = std::fs::read_dir(out.path()).expect("a folder").next().expect("a package");
    let file = file.expect("an entry").path();
    let field = |name: &str| {
        let told = Command::new("dpkg-deb").arg("--field").arg(&file).arg(name).output();
        String::from_utf8_lossy(&told.expect("dpkg-deb runs").stdout).trim().to_owned()
    };
    assert_eq!(field("Package"), "hookwright");
    assert_eq!(field("Version"), env!("CARGO_PKG_VERSION"));
    assert!(field("Depends").starts_with("libc6 (>= 2."), "{}", field("Depends"));

    let root = out.path().join("root");
    let unpacked = Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&root).status();
    assert!(unpacked.expect("dpkg-deb runs").success());
    let told = Command::new(root.join("usr/bin/hookwright")).arg("--version").output();
    let told = String::from_utf8_lossy(&told.expect("the packaged host runs").stdout).into_owned();
    assert_eq!(told.trim(), format!("hookwright {}", env!("CARGO_PKG_VERSION")));
    for path in [
        "lib/systemd/system/hookwright.service",
        "etc/hookwright/hookwright.toml",
        "usr/share/doc/hookwright/copyright",
    ] {
        assert!(root.join(path).is_file(), "{path} is missing");
    }
}
