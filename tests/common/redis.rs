//! Redis servers of a test's own (`redis-server`, or Valkey): on free ports of loopback, in a folder that goes with them, killed
//! by their own id when dropped. Here one server and what can happen to it; `redis/many.rs` makes clusters and sentinels of
//! them, `cut.rs` breaks the network before them.

mod many;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::child::{Proc, leashed};
use super::{SOON, free_port, wait_for};

#[allow(unused_imports, reason = "not every test crate needs several servers")]
pub use many::{Cluster, Watched};

/// One server. Dropping it kills it.
pub struct Redis {
    pub port: u16,
    program: &'static str,
    /// `None` while it is down.
    server: Option<Proc>,
    options: Vec<String>,
    password: Option<String>,
    /// Where its CA's certificate lies, if it speaks TLS (and then nothing else).
    ca: Option<PathBuf>,
    dir: TempDir,
}

/// A copy of a server's data, of one moment.
pub struct Snapshot(TempDir);

impl Redis {
    /// Without persistence: a restart begins empty.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Every write is on disk before it is answered.
    pub fn durable() -> Self {
        Self::with(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// With more options, as on the command line: `&["--maxmemory", "8mb"]`.
    pub fn with(options: &[&str]) -> Self {
        Self::made("redis-server", options).up()
    }

    /// Valkey, or nothing where it is not installed (Debian has it from version 13 on).
    pub fn valkey() -> Option<Self> {
        let found = Command::new("valkey-server").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        found.is_ok_and(|s| s.success()).then(|| Self::made("valkey-server", &[]).up())
    }

    /// Its default user has a password.
    pub fn with_password(password: &str) -> Self {
        let mut this = Self::made("redis-server", &["--requirepass", password]);
        this.password = Some(password.to_owned());
        this.up()
    }

    /// Speaks TLS alone, with a certificate for 127.0.0.1 of a throwaway authority.
    pub fn with_tls() -> Self {
        let mut this = Self::made("redis-server", &[]);
        let files = tls::write(this.dir.path());
        let path = |p: &Path| p.display().to_string();
        let port = this.port.to_string();
        this.options.extend(
            ["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"].map(str::to_owned).into_iter().chain([
                "--tls-cert-file".to_owned(),
                path(&files.cert),
                "--tls-key-file".to_owned(),
                path(&files.key),
                "--tls-ca-cert-file".to_owned(),
                path(&files.ca),
            ]),
        );
        this.ca = Some(files.ca);
        this.up()
    }

    /// Follows `primary`, and has caught up.
    pub fn replica_of(primary: &Self) -> Self {
        let this = Self::with(&["--replicaof", &format!("127.0.0.1 {}", primary.port)]);
        wait_for("a replica to have caught up", SOON, || {
            let own = this.cli(&["info", "replication"])?.contains("master_link_status:up");
            // The primary counts it only after its first word.
            (own && primary.cli(&["info", "replication"])?.contains("state=online")).then_some(())
        });
        this
    }

    fn made(program: &'static str, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::create_dir(dir.path().join("data")).expect("a folder for data");
        let options = options.iter().map(ToString::to_string).collect();
        Self { port: free_port(), program, server: None, options, password: None, ca: None, dir }
    }

    fn up(mut self) -> Self {
        self.restart();
        self
    }

    fn spawn(&self) -> Proc {
        let mut command = leashed(self.program);
        command.args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(self.folder()).arg("--unixsocket").arg(self.socket()).args(["--enable-debug-command", "local"]);
        command.args(["--repl-diskless-sync-delay", "0"]).args(&self.options);
        Proc::start("redis", command, self.dir.path())
    }

    /// Starts it (again) on the same data and port, and waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        self.server = Some(self.spawn());
        self.answers();
    }

    fn answers(&self) {
        wait_for("Redis to answer", SOON, || self.cli(&["ping"])?.contains("PONG").then_some(()));
    }

    /// Starts it without any data.
    pub fn restart_empty(&mut self) {
        self.kill();
        self.replace_data(None);
        self.restart();
    }

    /// Starts it on older data.
    pub fn restart_from(&mut self, old: &Snapshot) {
        self.kill();
        self.replace_data(Some(old));
        self.restart();
    }

    /// A server without persistence writes its data for this once; started again by `restart_from`, it reads them.
    pub fn snapshot(&self) -> Snapshot {
        if !self.folder().join("appendonlydir").exists() {
            self.must(&["save"]);
        }
        let copy = tempfile::tempdir().expect("a folder");
        copy_folder(&self.folder(), copy.path());
        Snapshot(copy)
    }

    fn replace_data(&self, with: Option<&Snapshot>) {
        fs::remove_dir_all(self.folder()).expect("its data go");
        fs::create_dir(self.folder()).expect("a folder for data");
        if let Some(old) = with {
            copy_folder(old.0.path(), &self.folder());
        }
    }

    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Its Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("redis.sock")
    }

    pub fn ca(&self) -> Option<&Path> {
        self.ca.as_deref()
    }

    /// How to reach it, with its password if it has one.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// By another port: of a proxy before it.
    pub fn url_at(&self, port: u16) -> String {
        let scheme = if self.ca.is_some() { "rediss" } else { "redis" };
        let secret = self.password.as_ref().map(|p| format!(":{p}@")).unwrap_or_default();
        format!("{scheme}://{secret}127.0.0.1:{port}/0")
    }

    /// Ends it at once (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    pub fn is_down(&self) -> bool {
        self.server.is_none()
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("it runs").id()
    }

    /// Stops it where it stands (SIGSTOP): it keeps its connections and answers nothing.
    pub fn hang(&self) {
        self.signal("STOP");
    }

    /// Lets it go on after `hang`.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(sent.is_ok_and(|s| s.success()), "Redis cannot be sent SIG{name}");
    }

    /// What `redis-cli` prints; nothing if it fails or the server answers an error.
    pub fn cli(&self, words: &[&str]) -> Option<String> {
        let mut cli = client(self.port);
        if let Some(ca) = &self.ca {
            cli.arg("--tls").arg("--cacert").arg(ca);
        }
        if let Some(password) = &self.password {
            cli.env("REDISCLI_AUTH", password);
        }
        let done = cli.args(words).output().expect("redis-cli runs (tests/run installs it)");
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    pub fn must(&self, words: &[&str]) -> String {
        self.cli(words).unwrap_or_else(|| panic!("Redis does not do: {words:?}"))
    }

    /// One number of `INFO`, by its name.
    pub fn info(&self, name: &str) -> Option<String> {
        let all = self.cli(&["info", "all"])?;
        let line = all.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `redis-cli` for a port, with an end also when the server hangs. An error that it answers is a failure.
fn client(port: u16) -> Command {
    let mut cli = Command::new("timeout");
    cli.args(["5", "redis-cli", "-e", "-h", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null());
    cli
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, into) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir_all(&into).expect("a folder");
            copy_folder(&path, &into);
        } else {
            fs::copy(&path, &into).expect("a copy");
        }
    }
}
