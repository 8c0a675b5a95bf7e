//! The documentation: every command in it is run, every sample of settings is checked, generated pages are current.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hookwright_tests::{Host, HostBuilder, Receiver, artifact, eventually, plugins_dir};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace").into()
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end == "md") {
            pages.push(path);
        }
    }
    assert!(pages.len() >= 8, "pages are missing: {pages:?}");
    pages
}

/// The fenced blocks of a language.
fn blocks(page: &Path, language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(page).expect("a page");
    let fence = format!("```{language}");
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == fence {
            let block: Vec<&str> = lines.by_ref().take_while(|line| line.trim() != "```").collect();
            found.push(block.join("\n"));
        }
    }
    found
}

/// The commands of a block, without their comments.
fn commands(block: &str) -> Vec<String> {
    let bare = block.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    bare.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn all_commands() -> BTreeSet<String> {
    pages().iter().flat_map(|page| blocks(page, "sh")).flat_map(|block| commands(&block)).collect()
}

/// The README's settings with a receiver that exists.
async fn host(receiver: &Receiver) -> Host {
    let text = blocks(&root().join("README.md"), "toml").remove(0);
    let text = text.replace("https://ci.example.com/hooks", &receiver.url());
    let text = text.replace("[destinations.ci]", "[destinations.ci]\nallow_private = true");
    let free = |_: u8| std::net::TcpListener::bind("127.0.0.1:0").and_then(|one| one.local_addr());
    let (ingress, admin) = (free(0).expect("a port"), free(1).expect("a port"));
    let text =
        format!("{text}\n[ingress]\nlisten = \"{ingress}\"\n[admin]\nlisten = \"{admin}\"\n");
    HostBuilder::new(&text)
        .env("GITHUB_SECRET", "s3cret of the docs")
        .env("CI_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
        .plugin("filter")
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_runs() {
    let receiver = Receiver::good().await;
    let host = host(&receiver).await;
    let sent = host.run(&["send", "github"]);
    assert_eq!(sent.0, 0, "{sent:?}");
    let answer: serde_json::Value = serde_json::from_str(&sent.1[4..]).expect("JSON");
    let id = answer["id"].as_str().expect("an id").to_owned();
    host.settled(Duration::from_secs(10)).await;

    let mut ran = BTreeSet::new();
    for command in all_commands() {
        let line =
            command.replace("EVENT", &id).replace("127.0.0.1:8081", &host.admin().to_string());
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // The host of this test was started by it.
            ["hookwright", "serve", ..] => {}
            // `make test` runs this; `commands.rs` and `plugin_author.rs` run the others.
            ["make", "test" | "run"] => {}
            // `deploy.rs` makes the package.
            ["make", "deb"] => {}
            ["hookwright", "plugin", "new", "only-pushes"]
            | ["cd", "only-pushes"]
            | ["cargo", "test"]
            | ["hookwright", "plugin", "build" | "test"]
            | ["hookwright", "plugin", "inspect" | "bench" | "replay", ..]
            | ["hookwright", "plugin", "check", "plugins-built/only-pushes.wasm"]
            | ["cp", "plugins-built/only-pushes.wasm", "../plugins/"] => {}
            // `languages.rs` runs the project; its tools are those of `make languages`.
            ["hookwright", "plugin", "new", "only-pushes", "--lang", "ts"] | ["npm", "install"] => {
            }
            ["hookwright", "tail", ..] => tail(&host, &words[1..]).await,
            // `listen.rs` runs this.
            ["hookwright", "listen", "--forward", ..] => {}
            ["hookwright", rest @ ..] => {
                let (code, out, err) = host.run(rest);
                assert_eq!(code, 0, "{command}\n{out}{err}");
            }
            ["curl", ..] => {
                let done = Command::new("sh").arg("-c").arg(&line).output().expect("sh runs");
                let out = String::from_utf8_lossy(&done.stdout).into_owned();
                assert!(done.status.success() && !out.contains("\"code\""), "{command}: {out}");
            }
            other => panic!("no test runs `{}`: add it here", other.join(" ")),
        }
        ran.insert(words.iter().take(2).map(|word| (*word).to_owned()).collect::<Vec<_>>());
    }
    assert!(ran.len() > 8, "the walk over the pages is broken: {ran:?}");
}

async fn tail(host: &Host, args: &[&str]) {
    let args = [args, &["--count", "1"]].concat();
    let mut child = host.command(&args).spawn().expect("tail starts");
    let code = eventually("tail ends after a line", Duration::from_secs(20), || {
        host.run(&["send", "github"]);
        let ended = child.try_wait().expect("a child");
        async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            ended
        }
    });
    assert_eq!(code.await.code(), Some(0));
}

#[test]
fn samples_of_settings_have_no_mistakes() {
    let mut count = 0;
    for page in pages() {
        for block in blocks(&page, "toml") {
            if !block.contains("[sources.") {
                continue;
            }
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("hookwright.toml"), &block).expect("a write");
            // The settings of our own plugins are held against their components.
            std::os::unix::fs::symlink(plugins_dir(), folder.path().join("plugins"))
                .expect("a link");
            let mut command = Command::new(artifact("hookwright"));
            command.arg("check").current_dir(folder.path());
            for name in ["GITHUB_SECRET", "STRIPE_SECRET", "SECRET", "HOOKWRIGHT_ADMIN_TOKEN"] {
                command.env(name, "a secret of the docs");
            }
            for name in ["CI_SECRET", "NEW_SECRET"] {
                command.env(name, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
            }
            let testdata = root().join("host/server/src/testdata");
            for (file, from) in
                [("ca.pem", "cert.pem"), ("client.pem", "cert.pem"), ("client.key", "key.pem")]
            {
                std::fs::copy(testdata.join(from), folder.path().join(file)).expect("a copy");
            }
            command.env("PROXY_USER", "user:password");
            command.env("PRIVATE_KEY", "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=");
            command.env("PARTNER_JWKS", hookwright_tests::vectors::jwks());
            let done = command.output().expect("it runs");
            let out = String::from_utf8_lossy(&done.stdout).into_owned();
            assert!(done.status.success(), "{}:\n{block}\n{out}", page.display());
            count += 1;
        }
    }
    assert!(count >= 2, "found only {count} samples");
}

#[test]
fn generated_pages_are_current() {
    let api = serde_json::to_value(hookwright_admin::openapi()).expect("a document");
    let pretty = |value: &serde_json::Value| format!("{value:#}\n");
    let pages = [
        ("docs/settings.md", hookwright_config::reference()),
        ("docs/errors.md", hookwright_server::reference()),
        ("docs/openapi.json", pretty(&api)),
        ("docs/postman.json", pretty(&hookwright_tests::postman(&api))),
    ];
    for (path, text) in pages {
        let file = root().join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &text).expect("a write");
        }
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(written, text, "{path} is out of date: run `UPDATE_DOCS=1 make test`");
    }
}

/// The tables that pages have between their marks.
#[test]
fn generated_tables_are_current() {
    let api = serde_json::to_value(hookwright_admin::openapi()).expect("a document");
    table_is_current("docs/sources.md", &hookwright_tests::table());
    table_is_current("docs/api.md", &hookwright_tests::operations(&api));
}

fn table_is_current(page_path: &str, table: &str) {
    let file = root().join(page_path);
    let page = std::fs::read_to_string(&file).expect("a page");
    let (before, rest) = page.split_once("make test` -->\n").expect("the mark where it begins");
    let (_, after) = rest.split_once("<!-- end -->").expect("the mark where it ends");
    let current = format!("{before}make test` -->\n{table}<!-- end -->{after}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &current).expect("a write");
    }
    let written = std::fs::read_to_string(&file).expect("a page");
    assert_eq!(written, current, "{page_path} is out of date: run `UPDATE_DOCS=1 make test`");
}

#[test]
fn links_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).expect("a page");
        let folder = page.parent().expect("a folder");
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split(')').next().unwrap_or_default();
            let target = link.split('#').next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") {
                assert!(folder.join(target).exists(), "{}: {link}", page.display());
            }
        }
    }
}
