//! The server's processes: where its programs are, whose they run as, how they are signalled, and who ends them.
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a server may take to start, to stop or to end.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Waits for the end of its input, which comes with the end of the test process, whatever that is; then ends the
/// server that runs in the folder, and deletes the folder. A parent-death signal could not do this: it comes with the
/// end of the *thread* that started the child, and each test has a thread of its own.
///
/// `SIGQUIT` is PostgreSQL's immediate shutdown, which frees its shared memory; a paused process takes it when it
/// continues. A postmaster that was killed has left its System V segment, whose id is in `postmaster.pid`.
const SUPERVISE: &str = r#"
cat > /dev/null
processes() {
  find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1/data" 2> /dev/null | cut -d / -f 3
}
postmaster=$(head -n 1 "$1/data/postmaster.pid" 2> /dev/null)
running=$(processes "$1")
if [ -n "$postmaster" ] && echo "$running" | grep -qx "$postmaster"; then
  kill -QUIT "$postmaster"
else
  for process in $running; do kill -KILL "$process"; done
fi
for process in $running; do kill -CONT "$process"; done
while [ -n "$(processes "$1")" ]; do sleep 0.02; done
if segment=$(sed -n 7p "$1/data/postmaster.pid" 2> /dev/null) && [ -n "$segment" ]; then
  ipcrm --shmem-id "${segment##* }"
fi
rm -rf "$1"
"#;

/// The folder of the newest PostgreSQL of Debian's packages, or of the one that `pg_config` knows.
pub(crate) fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |bin: &PathBuf| {
        let name = bin.parent().and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().parse::<u32>().unwrap_or_default()
    };
    // `pg_config` comes with the client's library too: then its folder has no server.
    let has_server = |bin: &PathBuf| bin.join("initdb").exists();
    let packaged = versions.map(|entry| entry.path().join("bin")).filter(has_server);
    let configured = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim())).filter(has_server)
    };
    let found = packaged.max_by_key(version).or_else(configured);
    found.expect("PostgreSQL is not installed: run `make setup-tests`")
}

/// The user and group that the server runs as where the test is root: `nobody`, for it needs to own nothing else, and
/// must not reach the data of the machine's own PostgreSQL.
fn unprivileged() -> Option<(u32, u32)> {
    static IDS: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    // SAFETY: the call has no arguments and always succeeds.
    #[expect(unsafe_code, reason = "std does not tell the user")]
    let root = unsafe { libc::geteuid() == 0 };
    let id = |flag: &str| -> u32 {
        let text = run(Command::new("id").args([flag, "nobody"]));
        text.trim().parse().expect("`id` prints a number")
    };
    *IDS.get_or_init(|| root.then(|| (id("-u"), id("-g"))))
}

/// The program as the user that the server runs as, in a process group of its own: an interrupt at the terminal is for
/// the test process, and the supervisor ends the server then.
pub(crate) fn as_server(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = unprivileged() {
        // Without the groups of root too: `std` drops them with the user.
        command.uid(user).gid(group);
    }
    // Root's own folder may be one that it can't enter.
    command.current_dir("/").process_group(0);
    command
}

/// Makes the folder that user's.
pub(crate) fn hand_over(dir: &Path) {
    if let Some((user, group)) = unprivileged() {
        chown(dir, Some(user), Some(group)).expect("root may");
    }
}

/// Starts what ends the server in the end: see [`SUPERVISE`]. A group of its own lets it outlive a kill of the test
/// process's group.
pub(crate) fn supervisor(dir: &Path) -> Child {
    let mut shell = Command::new("sh");
    shell.args(["-c", SUPERVISE, "supervisor"]).arg(dir).current_dir("/").process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().expect("a shell")
}

/// The processes of the server whose data is in the folder: each one works there. A process group does not tell them,
/// for the server's processes each have a session of their own.
pub(crate) fn processes(data: &Path) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let here = all.filter(|entry| {
        std::fs::read_link(entry.path().join("cwd")).is_ok_and(|folder| folder == data)
    });
    here.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Whether the process is stopped (`SIGSTOP`) or gone.
pub(crate) fn is_stopped(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state follows the program's name, which is in brackets and may hold anything.
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 'Z', 'X']))
}

/// Sends the signal; a process that is gone is none to signal.
pub(crate) fn signal(process: u32, signal: libc::c_int) {
    let process = i32::try_from(process).expect("Linux counts processes in 22 bits");
    // SAFETY: it passes two numbers. The process is a child of ours or works in our folder.
    #[expect(unsafe_code, reason = "std sends no signal but SIGKILL")]
    unsafe {
        libc::kill(process, signal);
    }
}

/// Waits until the condition holds.
///
/// # Panics
/// Where it does not in [`TIMEOUT`].
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + TIMEOUT;
    while !holds() {
        assert!(Instant::now() < until, "PostgreSQL is not {what} after {TIMEOUT:?}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Runs it to its end and answers what it printed.
///
/// # Panics
/// Where it fails: the message is what it said.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}{text}");
    text
}
