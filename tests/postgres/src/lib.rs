//! A PostgreSQL server of its own for tests, in a temporary folder and on a free port.
//!
//! The store's tests and the end-to-end tests share one a test process ([`Server::shared`]) and give each case a schema
//! or a database; what kills or pauses a server starts its own ([`Server::start`]). Nothing else on the machine is
//! touched. PostgreSQL refuses to run as root: there it runs as `nobody`.
#![deny(missing_docs)]
mod process;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use process::{TIMEOUT, as_server, binaries, is_stopped, processes, run, signal, supervisor};

/// The owner of the cluster: a superuser.
const USER: &str = "hookwright";
/// How often a start is tried: another process may take the free port in between.
const STARTS: usize = 5;

/// How a server is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Commits reach the disk. Off by default: a test that kills the server, and not the machine, loses nothing
    /// without it.
    pub fsync: bool,
    /// It offers TLS, with a certificate for `localhost` that it signed itself.
    pub tls: bool,
}

/// A running server. It ends, and its folder goes, with this value or with the test process, however that ends.
///
/// Over TCP a user needs a password (`scram-sha-256`); over the socket in its folder, which only the server's user and
/// root can enter, none.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    dir: TempDir,
    password: String,
    settings: Vec<(String, String)>,
    port: u16,
    schemas: AtomicU32,
    server: Option<Child>,
    supervisor: Child,
}

impl Server {
    /// The server that the cases of a test process share, without fsync and TLS; started by the first call. A case
    /// makes itself a [`schema`](Self::schema) or a [database](Self::create_database).
    ///
    /// # Panics
    /// As [`start`](Self::start) does.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Options::default()))
    }

    /// Makes a database cluster and starts a server on it.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed or does not start: the message says why.
    pub fn start(options: Options) -> Self {
        Self::start_with(options, &[])
    }

    /// As [`start`](Self::start), with further settings of `postgresql.conf`, each a name and a value.
    ///
    /// # Panics
    /// As [`start`](Self::start) does, also for a setting that PostgreSQL refuses.
    pub fn start_with(options: Options, settings: &[(&str, &str)]) -> Self {
        // A socket's path has to be short.
        let dir = std::env::temp_dir().canonicalize().and_then(|parent| {
            // Without links: the server's processes are known by it.
            tempfile::Builder::new().prefix("hw-pg").tempdir_in(parent)
        });
        let dir = dir.expect("a temporary folder");
        process::hand_over(dir.path());
        let mut server = Self {
            bin: binaries(),
            password: random_password(),
            settings: settings.iter().map(|&(name, value)| (name.into(), value.into())).collect(),
            port: 0,
            schemas: AtomicU32::new(0),
            server: None,
            // From here on, the folder goes whatever happens.
            supervisor: supervisor(dir.path()),
            dir,
        };
        server.make_cluster();
        server.configure(options);
        server.launch(true);
        server
    }

    fn make_cluster(&self) {
        // The password is needed in a file; nobody else can enter its folder.
        let password = self.dir.path().join("password");
        fs::write(&password, &self.password).expect("a writable folder");
        let mut initdb = as_server(&self.bin.join("initdb"));
        initdb.arg("--pgdata").arg(self.data()).arg("--pwfile").arg(&password);
        initdb.args(["--username", USER, "--encoding", "UTF8", "--locale", "C"]);
        initdb.args(["--auth-local", "trust", "--auth-host", "scram-sha-256"]);
        initdb.args(["--no-sync", "--no-instructions"]);
        run(&mut initdb);
        fs::remove_file(password).expect("it was written");
    }

    fn configure(&self, options: Options) {
        let on = |yes: bool| if yes { "on" } else { "off" };
        // Shared memory of queries in files of the folder: those in /dev/shm outlive a killed server.
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = {}\n\
             max_connections = 200\nautovacuum_naptime = 5\ndynamic_shared_memory_type = mmap\n",
            self.dir.path().display(),
            on(options.fsync)
        );
        if options.tls {
            self.make_certificate();
            settings.push_str("ssl = on\n");
        }
        for (name, value) in &self.settings {
            writeln!(settings, "{name} = '{}'", value.replace('\'', "''")).expect("memory");
        }
        let file = fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"));
        let written = file.and_then(|mut file| file.write_all(settings.as_bytes()));
        written.expect("a file that initdb wrote");
    }

    fn make_certificate(&self) {
        let key = self.data().join("server.key");
        // No certificate authority: clients refuse one as a server's own.
        let config = self.dir.path().join("certificate.conf");
        let text = "[req]\ndistinguished_name = name\nx509_extensions = server\n[name]\n[server]\n\
                    basicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n";
        fs::write(&config, text).expect("a writable folder");
        let mut openssl = as_server(Path::new("openssl"));
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-days", "30", "-subj", "/CN=localhost", "-config"]);
        openssl.arg(&config).arg("-keyout").arg(&key).arg("-out").arg(self.certificate());
        run(&mut openssl);
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The certificate of a server with TLS, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.data().join("server.crt")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database, with the owner's name and password. `postgres` is there from the start.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Makes an empty database and answers its URL.
    ///
    /// # Panics
    /// Where there is one of that name.
    pub fn create_database(&self, name: &str) -> String {
        self.sql(&format!("CREATE DATABASE \"{name}\""));
        self.url(name)
    }

    /// The URL of a schema of its own in the server's database, empty at first: quicker than a database.
    pub fn schema(&self) -> String {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        let name = format!("case_{number}");
        self.sql(&format!("CREATE SCHEMA {name}"));
        format!("{}?options=-c%20search_path%3D{name}", self.url("postgres"))
    }

    /// Runs statements as the owner in the database `postgres` and answers what they print, row by row. Waits as long
    /// as the server is [paused](Self::pause).
    ///
    /// # Panics
    /// Where one fails.
    pub fn sql(&self, statements: &str) -> String {
        run(self.psql().args(["-c", statements]))
    }

    fn psql(&self) -> Command {
        let mut psql = Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", "postgres"]);
        psql.arg("-h").arg(self.dir.path()).args(["-p", &self.port.to_string()]);
        psql
    }

    /// Ends the server as a crash does: `SIGKILL` to each of its processes, the first one first. Returns when all are
    /// gone. What it had acknowledged is there after [`restart`](Self::restart).
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
            // Those that are left hold its shared memory, and a new server refuses to start until they are gone.
            let data = self.data();
            process::wait_until("gone", || {
                let left = processes(&data);
                left.iter().for_each(|&process| signal(process, libc::SIGKILL));
                left.is_empty()
            });
        }
    }

    /// Stops the server in order, as a restart of the service does: connections end, all is written.
    ///
    /// # Panics
    /// Where it takes longer than a minute.
    pub fn stop(&mut self) {
        self.resume();
        if let Some(mut server) = self.server.take() {
            // PostgreSQL's fast shutdown; `SIGTERM` would wait for the clients to leave.
            signal(server.id(), libc::SIGINT);
            process::wait_until("stopped", || {
                server.try_wait().expect("a child of ours").is_some()
            });
        }
    }

    /// Starts the server after [`kill`](Self::kill) or [`stop`](Self::stop), on the same port, and returns once it
    /// answers; one that runs is stopped first.
    ///
    /// # Panics
    /// Where it does not answer in a minute.
    pub fn restart(&mut self) {
        self.stop();
        self.launch(false);
    }

    /// Stops all processes of the server where they are (`SIGSTOP`), until [`resume`](Self::resume): to its clients it
    /// is a machine that hangs. The kernel still accepts connections to its port.
    ///
    /// # Panics
    /// Where it takes longer than a minute.
    pub fn pause(&self) {
        if let Some(server) = &self.server {
            let pause = |process: u32| {
                signal(process, libc::SIGSTOP);
                process::wait_until("paused", || is_stopped(process));
            };
            // The first process first: then it starts no others.
            pause(server.id());
            processes(&self.data()).into_iter().for_each(pause);
        }
    }

    /// Lets the server continue after [`pause`](Self::pause).
    pub fn resume(&self) {
        if self.server.is_some() {
            processes(&self.data()).into_iter().for_each(|process| signal(process, libc::SIGCONT));
        }
    }

    /// Starts the server and waits until it answers; with `choose_port` on a port that is free.
    fn launch(&mut self, choose_port: bool) {
        let until = Instant::now() + TIMEOUT;
        for _ in 0..STARTS {
            if choose_port {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
                self.port = listener.local_addr().expect("it is bound").port();
            }
            self.server = Some(self.spawn());
            while !self.has_ended() {
                let mut ready = self.psql();
                ready.args(["-c", "SELECT 1"]).stderr(Stdio::null());
                if ready.output().is_ok_and(|output| output.status.success()) {
                    return;
                }
                assert!(Instant::now() < until, "PostgreSQL does not answer: {}", self.log());
            }
        }
        panic!("PostgreSQL does not start: {}", self.log());
    }

    fn has_ended(&mut self) -> bool {
        self.server
            .as_mut()
            .is_none_or(|server| server.try_wait().expect("a child of ours").is_some())
    }

    /// What the server has logged since its first start.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn spawn(&self) -> Child {
        let log = self.dir.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let mut postgres = as_server(&self.bin.join("postgres"));
        postgres.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        postgres.spawn().expect("PostgreSQL is installed")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It reads its input to the end, ends the server and deletes the folder.
        drop(self.supervisor.stdin.take());
        // The server is a child of this process, so it is gone only once it is waited for.
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
        let _ = self.supervisor.wait();
    }
}

/// 128 random bits in hexadecimal.
fn random_password() -> String {
    let mut bytes = [0; 16];
    let random = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    random.expect("Linux has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
