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

/// What the command writes, both ways, and whether it ended well.
fn attempt(command: &mut Command) -> (String, bool) {
    let done = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (format!("{}{}", text(&done.stdout), text(&done.stderr)), done.status.success())
}

fn run(command: &mut Command) -> String {
    let (out, ok) = attempt(command);
    assert!(ok, "{command:?}\n{out}");
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
        eventually("the plugin is active", Duration::from_secs(60), || async {
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
async fn typescript_goes_the_whole_way() {
    let desk = Desk::new("ts");
    desk.new_project_passes_its_cases();
    desk.example_goes_the_whole_way().await;
}

/// What is wrong in a new TypeScript project after `change`, as the build tells it.
fn refused(change: impl Fn(&Path)) -> String {
    let desk = Desk::new("ts");
    desk.hookwright(desk.folder.path(), &["plugin", "new", "wrong", "--lang", "ts"]);
    let project = desk.folder.path().join("wrong");
    change(&project);
    let (out, ok) = attempt(with_tools("ts", &project).args(["plugin", "build"]));
    assert!(!ok && !project.join("plugins-built").exists(), "{out}");
    assert!(!project.join("build/plugin.js").exists() && !project.join("plugin.js").exists());
    out
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).expect("a file");
    assert!(text.contains(from), "{text}");
    std::fs::write(file, text.replacen(from, to, 1)).expect("a file");
}

#[test]
fn a_type_error_fails_the_build_with_its_line() {
    let out =
        refused(|project| edit(&project.join("plugin.ts"), "has(event.kind)", "has(event.knd)"));
    assert!(out.contains("plugin.ts(") && out.contains("): error TS2551: Property 'knd'"), "{out}");
    assert!(out.contains("plugin.ts does not compile; see above"), "{out}");

    // Without the grant's world there is nothing to import.
    let out = refused(|project| {
        let import = "import { get } from 'hookwright:plugin/kv@0.1.0';\nget('a');\nimport type";
        edit(&project.join("plugin.ts"), "import type", import);
    });
    assert!(out.contains("plugin.ts(2,") && out.contains("hookwright:plugin/kv@0.1.0"), "{out}");

    // What an earlier build left does not pass for what this one made.
    let out = refused(|project| {
        std::fs::create_dir(project.join("build")).expect("a folder");
        std::fs::write(project.join("build/plugin.js"), "old").expect("a file");
        edit(&project.join("tsconfig.json"), "\"*.ts\", ", "");
    });
    assert!(out.contains("tsconfig.json"), "{out}");
}

/// Each kind of value that the declarations name, a second file, and the globals.
const TYPED: &str = r#"
import type { Handler } from 'hookwright:plugin/handler@0.1.0';
import * as kv from 'hookwright:plugin/kv@0.1.0';
import { send } from 'hookwright:plugin/http@0.1.0';
import type { Lifecycle } from 'hookwright:plugin/lifecycle@0.1.0';
import { respond } from 'hookwright:plugin/responder@0.1.0';
import { total } from './total.js';

const thrown = (call: () => unknown): unknown => {
  try {
    return call();
  } catch (error) {
    return (error as { payload: unknown }).payload;
  }
};
const none = new Uint8Array();

export const lifecycle: Lifecycle = {
  describe: () => ({ name: 'typed', version: '0.1.0', summary: 'Shows values.' }),
  init() {},
};
export const handler: Handler = {
  handle(event, body) {
    const text: string = new TextDecoder().decode(body.read());
    kv.set('key', new TextEncoder().encode(text));
    kv.delete('key');
    const got: unknown[] = [
      typeof event.receivedMs, event.contentType, total([1, 2]), text, typeof body.size(),
      body.select(['/a', '/b']), structuredClone([atob(btoa('c'))]),
      kv.get('key') === undefined, thrown(() => kv.set('', none)), typeof kv.increment('n', 2n),
      thrown(() => send({ method: 'get', url: 'http://b.example/', headers: [], body: none, timeoutMs: 1 })),
      typeof thrown(() => respond({ status: 99, headers: [], body: none })),
    ];
    return { tag: 'drop', val: JSON.stringify(got) };
  },
};
"#;

#[test]
fn declared_types_are_what_a_plugin_gets() {
    let desk = Desk::new("ts");
    desk.hookwright(desk.folder.path(), &["plugin", "new", "typed", "--lang", "ts"]);
    let project = desk.folder.path().join("typed");
    let write = |file: &str, text: &str| std::fs::write(project.join(file), text).expect("a file");
    write("plugin.ts", TYPED);
    write(
        "total.ts",
        "export const total = (all: number[]): number => all.reduce((a, b) => a + b, 0);",
    );
    let world = "\"type\": \"module\",\n  \"hookwright\": { \"world\": \"plugin-all\" },";
    edit(&project.join("package.json"), "\"type\": \"module\",", world);
    for case in ["push", "star"] {
        std::fs::remove_file(project.join(format!("cases/{case}.toml"))).expect("a case");
    }
    let case = r#"
grants = ["kv", "responder", "http:a.example"]
[event]
content_type = "text/x"
body = '{"a": [1]}'
[expect]
verdict = "drop"
state = { key = false, n = 2 }
reason = '["bigint","text/x",3,"{\"a\": [1]}","bigint",["[1]",null],["c"],true,"bad-key","bigint",{"tag":"refused","val":"no grant for `b.example`"},"string"]'
"#;
    write("cases/values.toml", case);
    desk.build("typed", "1 ok");
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
