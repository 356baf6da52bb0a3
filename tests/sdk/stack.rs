//! What a suite runs against: mock vendors, a recorder before each, bursar, a recorder before bursar, and vault keys.
//! README.md beside this file says what the suites find in their environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::common::bursar::{Bursar, Key, Setup, binary};
use crate::common::child::{Proc, leashed};
use crate::common::{repo, test_env};

const TWILIO_ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SUITE_LIMIT: Duration = Duration::from_secs(300);

/// The real credential of each vendor, as its mock takes it.
pub const CREDENTIALS: [(&str, &str); 5] = [
    ("openai", "sk-real-openai-4f9a1c"),
    ("anthropic", "sk-ant-real-7b20de"),
    ("stripe", "sk_test_real51c83e"),
    ("twilio", "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:real-token-90be7d"),
    ("resend", "re_real_2d6f08"),
];

/// The suites of one name, and the vendors they need.
pub struct Scene {
    pub name: &'static str,
    pub vendors: &'static [&'static str],
    /// Does bursar itself refuse anything in it?
    pub refusals: bool,
}

/// Everything that runs for one suite. Fields end in the order in which they stand.
pub struct Stack {
    pub bursar: Bursar,
    pub logs: Vec<PathBuf>,
    pub keys: Vec<Key>,
    env: Vec<(String, String)>,
    _servers: Vec<Proc>,
    dir: TempDir,
}

impl Stack {
    pub fn start(scene: &Scene) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut servers = Servers { dir: dir.path(), list: Vec::new() };
        let mut env = Vec::new();
        let mut config = fs::read_to_string(repo().join("tests/sdk/bursar.toml.in")).expect("bursar.toml.in");
        let mut logs = Vec::new();
        let targets = servers.mocks(scene, &mut env);
        for vendor in scene.vendors {
            let (url, log) = servers.recorder(vendor, targets.main, &targets.routes);
            let base = format!("{url}{}", targets.base_path(vendor));
            config = config.replace(&placeholder(vendor), &base);
            env.push((format!("BURSAR_RECORD_{}", vendor.to_uppercase()), text(&log)));
            logs.push(log);
        }
        for (vendor, credential) in CREDENTIALS {
            config = config.replace(&placeholder(vendor), "http://127.0.0.1:9"); // a vendor that nobody calls here
            env.push((format!("BURSAR_REAL_{}", vendor.to_uppercase()), credential.to_owned()));
        }
        let bursar = start_bursar(dir.path(), &config);
        let (front, front_log) = servers.recorder("front", bursar.gateway, &[]);
        env.extend([
            ("BURSAR_URL".to_owned(), bursar.url()),
            ("BURSAR_FRONT_URL".to_owned(), front),
            ("BURSAR_FRONT_LOG".to_owned(), text(&front_log)),
            ("BURSAR_BIN".to_owned(), binary().into_string().expect("a path in UTF-8")),
            ("BURSAR_DATA".to_owned(), text(&bursar.data)),
            ("BURSAR_ACCOUNT_TWILIO".to_owned(), TWILIO_ACCOUNT.to_owned()),
        ]);
        let keys = scene.vendors.iter().flat_map(|vendor| mint(&bursar, vendor, &mut env)).collect();
        Self { bursar, logs, keys, env, _servers: servers.list, dir }
    }

    /// Runs one suite; what it printed stands in the test's output.
    pub fn run(&self, mut suite: Command) {
        suite.envs(self.env.iter().cloned()).env("PYTHONDONTWRITEBYTECODE", "1").env_remove("BURSAR_MODE");
        let mut suite = Proc::start("suite", suite, self.dir.path());
        let status = suite.wait(SUITE_LIMIT);
        println!("{}", suite.output());
        assert!(status.success(), "cases failed");
    }

    /// How many requests the vendors received.
    pub fn received(&self) -> usize {
        let lines = self.logs.iter().map(|log| fs::read_to_string(log).expect("a recorder's log"));
        lines.map(|text| text.lines().filter(|line| is_request(line)).count()).sum()
    }
}

fn is_request(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|row| row["kind"] == "request")
}

fn start_bursar(dir: &Path, config: &str) -> Bursar {
    let file = dir.join("bursar.toml");
    fs::write(&file, config).expect("the configuration");
    let env =
        CREDENTIALS.map(|(vendor, credential)| (format!("SDK_TEST_{}", vendor.to_uppercase()), credential.to_owned()));
    let policies = repo().join("tests/sdk/policies");
    Bursar::start(dir, Setup { config: Some(file), policies, env: env.to_vec(), args: Vec::new() })
}

/// The keys of one vendor: for both styles, one for each role.
fn mint(bursar: &Bursar, vendor: &str, env: &mut Vec<(String, String)>) -> Vec<Key> {
    let mut keys = Vec::new();
    for style in ["", "BARE_"] {
        for role in ["", "POOR_", "REVOKED_", "STREAM_"] {
            let policy = if role == "POOR_" { format!("{vendor}-poor") } else { vendor.to_owned() };
            let key = bursar.mint(&policy, "sdk-suite", &[]);
            if role == "REVOKED_" {
                bursar.ok(&["key", "revoke", &key.id, "--reason", "the suites need a revoked key"]);
            }
            env.push((format!("BURSAR_{style}{role}KEY_{}", vendor.to_uppercase()), key.key.clone()));
            env.push((format!("BURSAR_{style}{role}ID_{}", vendor.to_uppercase()), key.id.clone()));
            keys.push(key);
        }
    }
    keys
}

/// Where the recorders of a scene send what they receive.
struct Targets {
    main: u16,
    routes: Vec<String>,
    anthropic_path: &'static str,
}

impl Targets {
    fn to(main: u16) -> Self {
        Self { main, routes: Vec::new(), anthropic_path: "" }
    }

    fn base_path(&self, vendor: &str) -> &'static str {
        if vendor == "anthropic" { self.anthropic_path } else { "" }
    }
}

struct Servers<'a> {
    dir: &'a Path,
    list: Vec<Proc>,
}

impl Servers<'_> {
    fn mocks(&mut self, scene: &Scene, env: &mut Vec<(String, String)>) -> Targets {
        match scene.name {
            "openai" | "anthropic" => Targets::to(self.announced("aimock", node("aimock.mjs"))),
            "stripe" => {
                let intents = self.announced("localstripe", python("localstripe_server.py"));
                let main = self.announced("stripe-stateful-mock", node("stripe_stateful.mjs"));
                Targets { routes: vec![format!("/v1/payment_intents={intents}")], ..Targets::to(main) }
            }
            "faults" => {
                let main = self.announced("llmock", python("llmock_server.py"));
                env.push(("BURSAR_FAULTS_URL".to_owned(), format!("http://127.0.0.1:{main}")));
                Targets { anthropic_path: "/anthropic", ..Targets::to(main) }
            }
            spec => {
                let mut prism = node("prism.mjs");
                prism.args(["--spec", &format!("{spec}.json")]);
                Targets::to(self.announced("prism", prism))
            }
        }
    }

    fn recorder(&mut self, name: &str, to: u16, routes: &[String]) -> (String, PathBuf) {
        let log = self.dir.join(format!("{name}.jsonl"));
        let mut command = node("recorder.mjs");
        command.args(["--name", name, "--to", &to.to_string()]).arg("--log").arg(&log);
        for route in routes {
            command.args(["--route", route]);
        }
        let port = self.announced(&format!("recorder-{name}"), command);
        (format!("http://127.0.0.1:{port}"), log)
    }

    fn announced(&mut self, name: &str, command: Command) -> u16 {
        let (server, port) = Proc::start_announced(name, command, self.dir);
        self.list.push(server);
        port
    }
}

fn node(script: &str) -> Command {
    let mut command = leashed("node");
    command.arg(repo().join("tests/sdk/mocks").join(script)).env("BURSAR_TEST_ENV", test_env());
    command.env("AIMOCK_API_KEYS", format!("{},{}", CREDENTIALS[0].1, CREDENTIALS[1].1));
    command
}

fn python(script: &str) -> Command {
    let mut command = leashed(test_env().join("venv/bin/python"));
    command.arg(repo().join("tests/sdk/mocks").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn placeholder(vendor: &str) -> String {
    format!("@{}@", vendor.to_uppercase())
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}
