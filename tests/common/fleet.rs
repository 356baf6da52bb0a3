//! Several bursars before one mock vendor, with one ledger on a Redis and one set of books in a PostgreSQL of their own. Each
//! has its data folder; policies and prices are the same for all.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::bursar::{Bursar, Key, Setup};
use super::client::{Answer, Ask};
use super::house::{PRICES, REAL_GITHUB, REAL_OPENAI, REAL_STRIPE, vendors, write_policy};
use super::postgres::Postgres;
use super::redis::Redis;
use super::vendor::Vendor;
use super::{SOON, wait_for};

/// Everything that a test of a fleet runs against. The folder goes last.
pub struct Fleet {
    pub nodes: Vec<Bursar>,
    pub vendor: Vendor,
    pub redis: Redis,
    pub postgres: Postgres,
    pub dir: TempDir,
}

impl Fleet {
    /// So many nodes, with these policies.
    pub fn new(policies: &[&str], nodes: usize) -> Self {
        Self::with(policies, nodes, "")
    }

    /// And more configuration of each.
    pub fn with(policies: &[&str], nodes: usize, more: &str) -> Self {
        Self::made(policies, nodes, "", more)
    }

    /// The same, for a load that a busy machine is slow with.
    pub fn patient(policies: &[&str], nodes: usize, more: &str) -> Self {
        Self::made(policies, nodes, PATIENT, more)
    }

    /// And more in `[ledger]` of each.
    pub fn ledger(policies: &[&str], nodes: usize, ledger: &str) -> Self {
        Self::made(policies, nodes, ledger, "")
    }

    fn made(policies: &[&str], nodes: usize, ledger: &str, more: &str) -> Self {
        let (redis, postgres) = (Redis::start(), Postgres::start());
        let (dir, vendor) = (tempfile::tempdir().expect("a folder"), Vendor::start());
        let config = stores(&redis.url(), ledger, &audit(&postgres), more);
        let mut this = Self { nodes: Vec::new(), vendor, redis, postgres, dir };
        write_shared(this.dir.path(), policies);
        for n in 0..nodes {
            this.nodes.push(Bursar::start(&this.folder(n), this.setup(n, &config)));
        }
        this
    }

    pub fn folder(&self, node: usize) -> PathBuf {
        let folder = self.dir.path().join(format!("node-{node}"));
        fs::create_dir_all(&folder).expect("a folder for a node");
        folder
    }

    /// What a node is started with: its configuration is written anew.
    pub fn setup(&self, node: usize, config: &str) -> Setup {
        let prices = self.shared("prices.toml");
        // Whichever node writes the books signs them, all with one key.
        let key = if config.contains("[audit.checkpoints]") { "" } else { SIGNING_KEY };
        let text = format!("{}\n[prices]\noverrides = {prices:?}\n{config}\n{key}", vendors(self.vendor.port));
        let file = self.folder(node).join("bursar.toml");
        fs::write(&file, text).expect("a configuration");
        let env = [("TEST_OPENAI", REAL_OPENAI), ("TEST_STRIPE", REAL_STRIPE), ("TEST_GITHUB", REAL_GITHUB)];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Setup { config: Some(file), policies: self.shared("policies"), env, args: Vec::new() }
    }

    /// One more node with another configuration of its stores, which may not start.
    pub fn begin(&self, node: usize, config: &str) -> Bursar {
        Bursar::begin(&self.folder(node), self.setup(node, config))
    }

    fn shared(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Mints a key on the first node, and waits until it opens all.
    pub fn mint(&self, policy: &str, agent: &str) -> Key {
        let key = self.nodes[0].mint(policy, agent, &[]);
        for node in &self.nodes {
            self.opens(node, &key);
        }
        key
    }

    pub fn opens(&self, node: &Bursar, key: &Key) {
        let ask = Ask::get("/bursar/v1/self").key(key);
        wait_for("a key to open a node", SOON, || (ask.again().now(node.gateway).status == 200).then_some(()));
    }

    /// The call goes to the nodes in turn.
    pub fn port(&self, n: usize) -> u16 {
        self.nodes[n % self.nodes.len()].gateway
    }

    pub fn call(&self, node: usize, ask: &Ask) -> Answer {
        ask.now(self.nodes[node].gateway)
    }

    /// The node that writes the books.
    pub fn writer(&self) -> usize {
        wait_for("a node to write the books", SOON, || self.nodes.iter().position(writes_books))
    }
}

const SIGNING_KEY: &str = "[audit.checkpoints]\nkey = \"../checkpoint.key\"\n";

/// A machine that is busy with other tests must not pass for a Redis that hangs.
const PATIENT: &str = "patience = \"10s\"";

/// `[ledger]` and `[audit]` of a node.
pub fn configuration(redis: &str, audit: &str, more: &str) -> String {
    stores(redis, "", audit, more)
}

/// The same, for a load that a busy machine is slow with.
pub fn patient_configuration(redis: &str, audit: &str) -> String {
    stores(redis, PATIENT, audit, "")
}

fn stores(redis: &str, ledger: &str, audit: &str, more: &str) -> String {
    format!("[ledger]\nstore = \"{redis}\"\n{ledger}\n[audit]\n{audit}\n{more}\n")
}

pub fn audit(postgres: &Postgres) -> String {
    format!("store = \"{}\"", postgres.url("postgres"))
}

pub fn write_shared(folder: &Path, policies: &[&str]) {
    let into = folder.join("policies");
    fs::create_dir(&into).expect("a folder for policies");
    policies.iter().for_each(|text| write_policy(&into, text));
    fs::write(folder.join("prices.toml"), PRICES).expect("a price file");
}

/// Does this node write the books, as far as it knows? One that is down does not.
fn writes_books(node: &Bursar) -> bool {
    UnixStream::connect(node.data.join("admin.sock")).is_ok() && node.admin("/v1/status")["writes_books"] == true
}
