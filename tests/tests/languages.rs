//! Other languages than Rust, by their real tools: what `plugin new` makes and each example are built, pass their cases, and serve in a host.
//!
//! Run by `make languages`, which installs the tools; `make test` leaves it out,
//! since a component with an interpreter in it takes the compiler a while.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use hookwright_tests::{HostBuilder, Receiver, eventually, example, with_tools};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").into()
}

fn run(command: &mut Command) -> String {
    let done = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let out = format!("{}{}", text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{command:?}\n{out}");
    out
}

/// A folder for projects in one language, and for the native code of their components.
struct Desk {
    language: &'static str,
    folder: TempDir,
}

impl Desk {
    fn new(language: &'static str) -> Self {
        Self { language, folder: tempfile::tempdir().expect("a folder") }
    }

    fn hookwright(&self, folder: &Path, args: &[&str]) -> String {
        let mut command = with_tools(self.language, folder);
        run(command.args(args).env("XDG_CACHE_HOME", self.folder.path()))
    }

    /// Builds a project without WASI and runs its cases; answers the component's file.
    fn build(&self, name: &str, cases: &str) -> PathBuf {
        let project = self.folder.path().join(name);
        let built = self.hookwright(&project, &["plugin", "build"]);
        assert!(built.contains(&format!("{name}.wasm")) && !built.contains("wasi:"), "{built}");
        let tested = self.hookwright(&project, &["plugin", "test"]);
        assert!(tested.contains(cases), "{tested}");
        project.join(format!("plugins-built/{name}.wasm"))
    }

    fn new_project_passes_its_cases(&self) {
        let args = ["plugin", "new", "only-pushes", "--lang", self.language];
        self.hookwright(self.folder.path(), &args);
        self.build("only-pushes", "2 ok");
    }

    async fn example_goes_the_whole_way(&self) {
        let project = example(self.language, self.folder.path());
        let contract = |path: PathBuf| std::fs::read_to_string(path).expect("the contract");
        let (copy, original) = (project.join("wit/types.wit"), root().join("wit/v0.1/types.wit"));
        assert_eq!(contract(copy), contract(original));
        let component = self.build("large-orders", "3 ok");

        let sink = Receiver::good().await;
        // As in the cases, so that the native code is there already.
        let settings = format!(
            "[sources.a]\nverify = {{ scheme = \"none\" }}\nplugins = [\"large-orders\"]\n\
             [plugins.large-orders]\nconfig = {{ limit = 1000, to = [\"billing\", \"review\"] }}\n\
             limits = {{ time = \"1s\" }}\ninstances = {{ warm = 1 }}\n\
             [destinations.billing]\nurl = \"{url}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n\
             [destinations.review]\nurl = \"{url}\"\nallow_private = true\nsign = {{ scheme = \"none\" }}\n",
            url = sink.url()
        );
        let host = HostBuilder::new(&settings).start().await;
        let cache = self.folder.path().join("hookwright/compiled/.");
        run(Command::new("cp").arg("-a").arg(cache).arg(host.dir().join("data/compiled")));
        std::fs::copy(component, host.plugins().join("large-orders.wasm")).expect("a copy");
        eventually("the plugin is in force", Duration::from_secs(60), || async {
            let plugins = host.api("plugins").await.ok()?;
            plugins["plugins"][0]["digest"].is_string().then_some(())
        })
        .await;
        let bodies = ["{\"id\":1,\"amount\":1000.50}", "{\"id\":2,\"amount\":2000}"];
        for body in bodies {
            host.client.post(host.ingress(), "/in/a", &[], body).await.expect("an answer");
        }
        eventually("the orders arrive", Duration::from_secs(30), || async {
            (sink.count() == 2 * bodies.len()).then_some(())
        })
        .await;
        let mut got: Vec<_> = sink.received().into_iter().map(|one| one.body).collect();
        got.sort();
        got.dedup();
        assert_eq!(got, bodies.map(str::as_bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_goes_the_whole_way() {
    let desk = Desk::new("js");
    desk.new_project_passes_its_cases();
    desk.example_goes_the_whole_way().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_goes_the_whole_way() {
    let desk = Desk::new("python");
    desk.new_project_passes_its_cases();
    desk.example_goes_the_whole_way().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c_goes_the_whole_way() {
    let desk = Desk::new("c");
    desk.new_project_passes_its_cases();
    desk.example_goes_the_whole_way().await;
}
