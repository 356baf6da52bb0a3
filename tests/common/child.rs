//! Child processes: started with their output in a file, killed by their id when the test lets go of them, and also when
//! the test itself is killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

use super::{SOON, wait_for};

/// A command whose process the kernel kills when the thread that started it ends.
pub fn leashed(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null()).envs([("NO_PROXY", "127.0.0.1"), ("no_proxy", "127.0.0.1")]);
    command
}

/// A running process. Dropping it kills it.
pub struct Proc {
    pub name: String,
    log: PathBuf,
    child: Child,
}

impl Proc {
    /// Starts `command` with all that it prints going to `DIR/NAME.log`.
    pub fn start(name: &str, mut command: Command, dir: &Path) -> Self {
        let log = dir.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("a log file");
        command.stdout(file.try_clone().expect("a log file")).stderr(file);
        let child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Self { name: name.to_owned(), log, child }
    }

    /// Starts a server that announces itself with one line of JSON, and returns the port that the line names.
    pub fn start_announced(name: &str, mut command: Command, dir: &Path) -> (Self, u16) {
        let log = dir.join(format!("{name}.log"));
        command.stdout(Stdio::piped()).stderr(File::create(&log).expect("a log file"));
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let server = Self { name: name.to_owned(), log, child };
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let _ = tell.send(line); // reads on to the end, so that the server never waits for us
            }
        });
        let line = told
            .recv_timeout(SOON)
            .unwrap_or_else(|e| panic!("{name} does not announce itself ({e}): {}", server.output()));
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{name} said {line:?}: {e}"));
        let port = said["port"].as_u64().and_then(|p| u16::try_from(p).ok()).expect("a port");
        (server, port)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that it has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child")
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || self.ended())
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        let asked = Command::new("sh").args(["-c", &format!("kill -TERM {}", self.id())]).status();
        assert!(asked.is_ok_and(|s| s.success()), "{} cannot be asked to end", self.name);
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Proc {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let output = self.output();
            let tail: Vec<&str> = output.lines().rev().take(40).collect();
            eprintln!("---- the end of what {} printed ----", self.name);
            tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
