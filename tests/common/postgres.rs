//! A PostgreSQL server of a test's own: in a folder that goes with it, on a free port of loopback, killed when it is dropped.
//! The server refuses to run as root, so root runs it as the user that the Debian package made.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::child::Proc;
use super::{SOON, free_port, wait_for};

pub struct Postgres {
    pub port: u16,
    /// `None` while it is down.
    server: Option<Proc>,
    settings: Vec<String>,
    dir: TempDir,
}

/// Where Debian puts the programs of the newest version.
fn programs() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|e| e.path().join("bin"));
    let found = versions.filter(|bin| bin.join("initdb").exists()).max();
    found.expect("PostgreSQL is not installed: run `tests/run env` once")
}

/// As a user that may run the server, and ending with this test.
fn as_its_user(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if is_root() {
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
    }
    command.arg("--").arg(program).stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    command
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

fn must(what: &str, done: std::io::Result<Output>) {
    let done = done.unwrap_or_else(|e| panic!("{what}: {e}"));
    assert!(done.status.success(), "{what}: {}", String::from_utf8_lossy(&done.stderr));
}

impl Postgres {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With more settings, each `name=value`.
    pub fn with(settings: &[&str]) -> Self {
        let mut this = Self::made(settings);
        this.restart();
        this
    }

    /// Not started yet.
    pub fn made(settings: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        if is_root() {
            must("chown", Command::new("chown").arg("postgres:postgres").arg(dir.path()).output());
        }
        let mut initdb = as_its_user(&programs().join("initdb"));
        initdb
            .args(["--no-sync", "--auth=trust", "--username=books", "--encoding=UTF8", "-D"])
            .arg(dir.path().join("db"));
        must("initdb", initdb.current_dir(dir.path()).output());
        let settings = settings.iter().map(ToString::to_string).collect();
        Self { port: free_port(), server: None, settings, dir }
    }

    /// Starts it (again) on the same data and port, and waits until it answers.
    pub fn restart(&mut self) {
        self.kill();
        wait_for("PostgreSQL to be ready", SOON, || {
            // After a kill its children may still be ending, and it does not start beside them.
            if self.server.as_mut().is_none_or(|server| server.ended().is_some()) {
                self.server = Some(self.spawn());
            }
            self.ask("postgres", "SELECT 1")
        });
    }

    fn spawn(&self) -> Proc {
        let mut command = as_its_user(&programs().join("postgres"));
        command.arg("-D").arg(self.folder()).args(["-p", &self.port.to_string(), "-h", "127.0.0.1", "-k", ""]);
        for setting in
            ["shared_buffers=64MB", "logging_collector=off"].into_iter().chain(self.settings.iter().map(|s| &**s))
        {
            command.args(["-c", setting]);
        }
        command.current_dir(self.dir.path());
        Proc::start("postgres", command, self.dir.path())
    }

    /// Its data.
    pub fn folder(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    /// Ends it at once (SIGKILL), as a crash would: also the children that serve a connection each, which would otherwise
    /// go on for a moment.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let id = server.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        server.kill();
        if !children.trim().is_empty() {
            // Some have ended by themselves; that is no failure.
            let _ = Command::new("sh").args(["-c", &format!("kill -KILL {children} 2>/dev/null")]).status();
        }
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://books@127.0.0.1:{}/{database}", self.port)
    }

    /// The rows that a statement gives, as `psql` prints them without decoration; nothing if it fails.
    pub fn ask(&self, database: &str, sql: &str) -> Option<String> {
        let mut psql = Command::new(programs().join("psql"));
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        let done = psql.stdin(Stdio::null()).output().expect("psql runs");
        done.status.success().then(|| String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }

    pub fn must(&self, sql: &str) -> String {
        self.ask("postgres", sql).unwrap_or_else(|| panic!("it does not do: {sql}"))
    }
}
