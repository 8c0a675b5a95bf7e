//! A PostgreSQL server of its own for tests, in a temporary folder and on a free port.
//!
//! The store's tests and the end-to-end tests start one a test process and give each case a schema. Nothing else on the
//! machine is touched. PostgreSQL refuses to run as root: there it runs as the user `postgres` of Debian's package.
#![deny(missing_docs)]
mod process;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use process::{as_server, binaries, run, supervisor};

/// How long a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// The user that the server lets in without a password, and its database.
const USER: &str = "hookwright";

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
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    schemas: AtomicU32,
    server: Option<Child>,
    supervisor: Child,
}

impl Server {
    /// Makes a database cluster and starts a server on it.
    ///
    /// # Panics
    /// Where PostgreSQL is not installed or does not start: the message says why.
    pub fn start(options: Options) -> Self {
        let bin = binaries();
        // A socket's path has to be short.
        let dir = tempfile::Builder::new().prefix("hw-pg").tempdir().expect("a temporary folder");
        process::hand_over(dir.path());
        let data = dir.path().join("data");
        let mut initdb = as_server(&bin.join("initdb"));
        initdb.arg("--pgdata").arg(&data);
        initdb.args(["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--no-sync"]);
        initdb.args(["--locale", "C", "--no-instructions"]);
        run(&mut initdb);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let supervisor = supervisor(dir.path());
        let schemas = AtomicU32::new(0);
        let mut server = Self { bin, dir, port, schemas, server: None, supervisor };
        server.configure(options);
        server.restart();
        server
    }

    fn configure(&self, options: Options) {
        let data = self.dir.path().join("data");
        let on = |yes: bool| if yes { "on" } else { "off" };
        let (sockets, port) = (self.dir.path().display(), self.port);
        let mut settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{sockets}'\n\
             fsync = {}\nmax_connections = 200\nautovacuum_naptime = 5\n",
            on(options.fsync)
        );
        if options.tls {
            self.make_certificate(&data);
            settings.push_str("ssl = on\n");
        }
        append(&data.join("postgresql.conf"), &settings);
        // A user of this name needs a password; all others are let in.
        let rules = fs::read_to_string(data.join("pg_hba.conf")).expect("initdb wrote it");
        let rules = format!("host all locked 127.0.0.1/32 scram-sha-256\n{rules}");
        fs::write(data.join("pg_hba.conf"), rules).expect("a writable folder");
    }

    fn make_certificate(&self, data: &Path) {
        let (key, cert) = (data.join("server.key"), self.certificate());
        // No certificate authority: clients refuse one as a server's own.
        let config = self.dir.path().join("certificate.conf");
        let text = "[req]\ndistinguished_name = name\nx509_extensions = server\n[name]\n[server]\n\
                    basicConstraints = critical,CA:FALSE\nsubjectAltName = DNS:localhost,IP:127.0.0.1\n";
        fs::write(&config, text).expect("a writable folder");
        let mut openssl = as_server(Path::new("openssl"));
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        openssl.args(["-nodes", "-days", "30", "-subj", "/CN=localhost", "-config"]);
        openssl.arg(&config).arg("-keyout").arg(&key).arg("-out").arg(&cert);
        run(&mut openssl);
    }

    /// The certificate of a server with TLS, in PEM.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("data/server.crt")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a schema of its own in the server's database, empty at first.
    pub fn schema(&self) -> String {
        let number = self.schemas.fetch_add(1, Ordering::Relaxed);
        let name = format!("case_{number}");
        self.sql(&format!("CREATE SCHEMA {name}"));
        format!(
            "postgres://{USER}@127.0.0.1:{}/postgres?options=-c%20search_path%3D{name}",
            self.port
        )
    }

    /// Runs statements as the database's owner and answers what they print, row by row.
    ///
    /// # Panics
    /// Where one fails.
    pub fn sql(&self, statements: &str) -> String {
        let mut psql = self.psql();
        psql.args(["-c", statements]);
        run(&mut psql)
    }

    fn psql(&self) -> std::process::Command {
        let mut psql = std::process::Command::new(self.bin.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", USER, "-d", "postgres"]);
        psql.arg("-h").arg(self.dir.path()).args(["-p", &self.port.to_string()]);
        psql
    }

    /// Ends the server as `kill -9` of its first process does. What it had acknowledged is there after [`restart`](Self::restart).
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            // `setpriv` has become the server, so it is this very process.
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Starts the server after [`kill`](Self::kill), on the same port, and returns once it answers.
    ///
    /// # Panics
    /// Where it does not in a minute.
    pub fn restart(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = match &mut self.server {
                None => true,
                Some(server) => server.try_wait().expect("a child of ours").is_some(),
            };
            // The processes of one that was killed may hold its memory for a moment: then the next one ends at once.
            if ended {
                self.server = Some(self.spawn());
            }
            let mut ready = self.psql();
            ready.args(["-c", "SELECT 1"]).stderr(std::process::Stdio::null());
            if ready.output().is_ok_and(|output| output.status.success()) {
                return;
            }
            let log = self.dir.path().join("log");
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(Instant::now() < until, "PostgreSQL does not start: {}", log());
        }
    }

    fn spawn(&self) -> Child {
        let log = self.dir.path().join("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).expect("a log");
        let mut postgres = as_server(&self.bin.join("postgres"));
        postgres.arg("-D").arg(self.dir.path().join("data"));
        postgres.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null());
        postgres.stderr(log);
        postgres.spawn().expect("PostgreSQL is installed")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It reads its input to the end, ends the server and deletes the folder.
        drop(self.supervisor.stdin.take());
        let _ = self.supervisor.wait();
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
    }
}

fn append(path: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("a file that initdb wrote");
}
