//! A running bursar on free loopback ports, and its command line.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use super::child::{Proc, leashed};
use super::{SOON, free_port, http_get, wait_for};

/// The binary under test: the one that cargo built, unless BURSAR_TEST_BIN names another.
pub fn binary() -> OsString {
    std::env::var_os("BURSAR_TEST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_bursar").into())
}

/// What a server is started with.
#[derive(Default)]
pub struct Setup {
    /// The configuration file, if any.
    pub config: Option<PathBuf>,
    /// The folder of policies.
    pub policies: PathBuf,
    /// Credentials, by the name of their variable.
    pub env: Vec<(String, String)>,
    /// More arguments of `bursar serve`.
    pub args: Vec<String>,
}

/// A minted vault key.
pub struct Key {
    pub id: String,
    pub key: String,
}

/// `bursar serve` under test. Dropping it kills it; its data folder is the test's.
pub struct Bursar {
    pub gateway: u16,
    pub admin: u16,
    pub data: PathBuf,
    pub server: Proc,
    setup: Setup,
    /// Where its log goes, if not to a file of the test's.
    log: Option<&'static str>,
}

impl Bursar {
    /// Starts it with its data in `DIR/data`, and waits until it is ready.
    pub fn start(dir: &Path, setup: Setup) -> Self {
        let mut this = Self::begin(dir, setup);
        this.wait_until_ready();
        this
    }

    /// Starts it, and waits for nothing.
    pub fn begin(dir: &Path, setup: Setup) -> Self {
        let (gateway, admin, data) = (free_port(), free_port(), dir.join("data"));
        let server = serve(dir, &data, gateway, admin, &setup, None);
        Self { gateway, admin, data, server, setup, log: None }
    }

    /// Starts it again on the same folder and ports, after it ended or was killed.
    pub fn restart(&mut self) {
        let dir = self.data.parent().expect("the folder of the test").to_path_buf();
        self.server = serve(&dir, &self.data, self.gateway, self.admin, &self.setup, self.log);
        self.wait_until_ready();
    }

    /// Ends it at once, and starts it again with its log elsewhere.
    pub fn restart_with_log(&mut self, log: &'static str) {
        self.log = Some(log);
        self.server.kill();
        self.restart();
    }

    fn wait_until_ready(&mut self) {
        wait_for("bursar to be ready", SOON, || {
            if let Some(status) = self.server.ended() {
                panic!("bursar ended with {status}: {}", self.server.output());
            }
            http_get(self.gateway, "/-/ready").filter(|(status, _)| *status == 200)?;
            UnixStream::connect(self.data.join("admin.sock")).ok()
        });
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway)
    }

    /// Runs a command against this server.
    pub fn cli(&self, args: &[&str]) -> Output {
        Command::new(binary()).args(args).arg("--data").arg(&self.data).output().expect("bursar runs")
    }

    /// What a command that must succeed prints.
    pub fn ok(&self, args: &[&str]) -> String {
        let done = self.cli(args);
        let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(done.status.success(), "bursar {} ended with {}: {out}{err}", args.join(" "), done.status);
        out.into_owned()
    }

    /// What a command that must succeed prints with `--json`: one value a line, or one value over many lines.
    pub fn json(&self, args: &[&str]) -> Vec<Value> {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::Deserializer::from_str(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .unwrap_or_else(|e| panic!("{e} in {text}"))
    }

    /// What the admin API answers on its socket.
    pub fn admin(&self, path: &str) -> Value {
        let mut socket = UnixStream::connect(self.data.join("admin.sock")).expect("the admin socket");
        write!(socket, "GET {path} HTTP/1.1\r\nHost: bursar\r\nConnection: close\r\n\r\n").expect("it is read");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|e| panic!("{e} in {answer}"))
    }

    /// Mints a key for `agent` under `policy`.
    pub fn mint(&self, policy: &str, agent: &str, more: &[&str]) -> Key {
        let said = self.json(&[&["key", "mint", "--policy", policy, "--agent", agent], more].concat());
        let text = |field: &str| said[0][field].as_str().unwrap_or_else(|| panic!("no {field} in {said:?}")).to_owned();
        Key { id: text("key_id"), key: text("key") }
    }
}

fn serve(dir: &Path, data: &Path, gateway: u16, admin: u16, setup: &Setup, log: Option<&str>) -> Proc {
    // A file that may not grow is an error to it then, not its end.
    let to = log.map_or(String::new(), |log| format!(" 2>{log}"));
    let mut command = leashed("sh");
    command.args(["-c", &format!("trap '' XFSZ; exec \"$@\"{to}"), "sh"]).arg(binary()).arg("serve");
    command.arg("--data").arg(data).arg("--policies").arg(&setup.policies);
    command.args(["--listen", &format!("127.0.0.1:{gateway}"), "--admin", &format!("127.0.0.1:{admin}")]);
    if let Some(config) = &setup.config {
        command.arg("--config").arg(config);
    }
    command.args(&setup.args).envs(setup.env.iter().cloned()).current_dir(dir);
    Proc::start("bursar", command, dir)
}
