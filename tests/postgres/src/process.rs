//! The server's processes: where its programs are, whose they run as, and who ends them.
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Waits for the end of its input, which comes with the end of the test process, whatever that is; then ends the
/// server that runs in the folder, and deletes the folder.
const SUPERVISE: &str = r#"
cat > /dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
if [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; then
  kill -QUIT "$pid"
  while [ "$(readlink "/proc/$pid/cwd" 2> /dev/null)" = "$1/data" ]; do sleep 0.02; done
fi
rm -rf "$1"
"#;

/// The folder of the newest PostgreSQL that is installed.
pub(crate) fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &PathBuf| {
        let name = path.parent().and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().parse::<u32>().unwrap_or_default()
    };
    let found =
        versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists());
    found.max_by_key(version).expect("PostgreSQL is not installed: run `make setup-tests`")
}

fn is_root() -> bool {
    // SAFETY: the call has no arguments and always succeeds.
    #[expect(unsafe_code, reason = "std does not tell the user")]
    unsafe {
        libc::geteuid() == 0
    }
}

/// The program as the user that the server runs as.
pub(crate) fn as_server(program: &Path) -> Command {
    let mut command;
    if is_root() {
        // It becomes the program, so the child's id is the program's.
        command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]);
        command.arg(program);
    } else {
        command = Command::new(program);
    }
    // Root's own folder may be one that it can't enter.
    command.current_dir("/");
    command
}

/// Makes the folder that user's.
pub(crate) fn hand_over(dir: &Path) {
    if is_root() {
        let id = |flag: &str| -> u32 {
            let mut id = Command::new("id");
            let text = run(id.args([flag, "postgres"]));
            text.trim().parse().expect("`id` prints a number")
        };
        chown(dir, Some(id("-u")), Some(id("-g"))).expect("root may");
    }
}

/// Whoever ends the server in the end.
pub(crate) fn supervisor(dir: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", SUPERVISE, "supervisor"]).arg(dir);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("a shell")
}

/// Runs it to its end and answers what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{text}");
    text
}
