//! Several Redis servers that belong together: a primary and its replica watched by three sentinels, and a cluster of three
//! primaries with a replica each. What can happen to one server stands in `redis.rs`.

use std::fs;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::super::child::{Proc, leashed};
use super::super::{SOON, free_port, wait_for};
use super::{Redis, client};

/// How long a server is silent before the others take it for dead.
const DEAD_AFTER_MS: u32 = 1_000;

/// The name that the sentinels know the primary by.
const MASTER: &str = "mymaster";

/// A primary, its replica, and three sentinels that fail over when the primary is silent for a second.
pub struct Watched {
    /// The first began as the primary.
    pub servers: [Redis; 2],
    sentinels: Vec<(u16, Proc)>,
    _dir: TempDir,
}

impl Watched {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Each server with more options.
    pub fn with(options: &[&str]) -> Self {
        let primary = Redis::with(options);
        let of = format!("127.0.0.1 {}", primary.port);
        let replica = Redis::with(&[options, &["--replicaof", &of]].concat());
        let dir = tempfile::tempdir().expect("a folder");
        let sentinels = (0..3).map(|_| sentinel(&dir, primary.port)).collect();
        let this = Self { servers: [primary, replica], sentinels, _dir: dir };
        wait_for("the sentinels to know each other and the replica", SOON, || this.complete().then_some(()));
        this
    }

    fn complete(&self) -> bool {
        self.sentinels.iter().all(|(port, _)| {
            let known = ask(*port, &["sentinel", "master", MASTER]);
            let says = |name: &str, value: &str| known.lines().skip_while(|l| *l != name).nth(1) == Some(value);
            says("num-other-sentinels", "2") && says("num-slaves", "1") && says("flags", "master")
        }) && self.servers[1].info("master_link_status").as_deref() == Some("up")
    }

    /// The address of the set, as `[ledger] store` takes it.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.sentinels.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/{MASTER}/0", hosts.join(","))
    }

    /// Who the sentinels say is primary now: its place in `servers`.
    pub fn primary(&self) -> Option<usize> {
        let told = self.sentinels.iter().find_map(|(port, _)| {
            let told = ask(*port, &["sentinel", "get-master-addr-by-name", MASTER]);
            told.lines().nth(1)?.parse::<u16>().ok()
        })?;
        self.servers.iter().position(|s| s.port == told)
    }

    /// Waits until the sentinels have made `index` the primary, and it says so itself.
    pub fn wait_for_primary(&self, index: usize) {
        wait_for("a failover", SOON, || {
            (self.primary() == Some(index) && self.servers[index].info("role").as_deref() == Some("master"))
                .then_some(())
        });
    }

    /// A failover that the operator asks for: nothing dies.
    pub fn fail_over(&self) {
        let (port, _) = self.sentinels[0];
        wait_for("the sentinels to agree to a failover", SOON, || {
            (ask(port, &["sentinel", "failover", MASTER]) == "OK").then_some(())
        });
    }

    /// Ends one sentinel at once.
    pub fn kill_sentinel(&mut self, index: usize) {
        self.sentinels[index].1.kill();
    }
}

fn sentinel(dir: &TempDir, primary: u16) -> (u16, Proc) {
    let port = free_port();
    let config = dir.path().join(format!("sentinel-{port}.conf"));
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor {MASTER} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {MASTER} {DEAD_AFTER_MS}\nsentinel failover-timeout {MASTER} 5000\n",
        dir.path().display()
    );
    fs::write(&config, text).expect("written");
    let mut command = leashed("redis-server");
    command.arg(config).arg("--sentinel");
    (port, Proc::start(&format!("sentinel-{port}"), command, dir.path()))
}

/// What the server on a port says, or nothing.
fn ask(port: u16, words: &[&str]) -> String {
    let done = client(port).args(words).output().expect("redis-cli runs (tests/run installs it)");
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// Three primaries and a replica of each, which takes over when its primary is silent for a second.
pub struct Cluster {
    pub servers: Vec<Redis>,
}

impl Cluster {
    pub fn start() -> Self {
        let own = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "no", "--cluster-node-timeout"];
        let made = |_| {
            let (bus, silence) = (free_port().to_string(), DEAD_AFTER_MS.to_string());
            Redis::with(&[&own[..], &[&silence, "--cluster-port", &bus]].concat())
        };
        let servers: Vec<Redis> = (0..6).map(made).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(servers.iter().map(|s| format!("127.0.0.1:{}", s.port)));
        let done = create.args(["--cluster-replicas", "1", "--cluster-yes"]).stdin(Stdio::null()).output();
        let done = done.expect("redis-cli runs (tests/run installs it)");
        assert!(done.status.success(), "no cluster: {}", String::from_utf8_lossy(&done.stdout));
        let this = Self { servers };
        wait_for("every node to know the whole cluster", SOON, || this.servers.iter().all(whole).then_some(()));
        this
    }

    /// The address of the cluster, as `[ledger] store` takes it: two of its nodes.
    pub fn url(&self) -> String {
        format!("redis+cluster://127.0.0.1:{},127.0.0.1:{}", self.servers[0].port, self.servers[1].port)
    }

    /// Ends the node that holds a key at once, and waits until its replica holds it. Says which one that was.
    pub fn kill_primary_of(&mut self, key: &str) -> usize {
        let before = wait_for("a node to hold the key", SOON, || self.primary_of(key));
        self.servers[before].kill();
        wait_for("a failover", SOON, || self.primary_of(key).filter(|now| *now != before).map(drop));
        before
    }

    /// The node that now holds a key, by its place in `servers`.
    pub fn primary_of(&self, key: &str) -> Option<usize> {
        let up = |s: &&Redis| !s.is_down();
        let asked = self.servers.iter().filter(up).find_map(|s| s.cli(&["cluster", "keyslot", key]));
        let slot: u16 = asked?.parse().ok()?;
        self.servers.iter().filter(up).find_map(|s| {
            let nodes = s.cli(&["cluster", "nodes"])?;
            let mine = nodes.lines().find(|l| l.contains("myself"))?;
            let words: Vec<&str> = mine.split(' ').collect();
            let holds = |range: &&str| {
                let (from, to) = range.split_once('-').unwrap_or((range, range));
                matches!((from.parse::<u16>(), to.parse::<u16>()), (Ok(from), Ok(to)) if (from..=to).contains(&slot))
            };
            let primary = words.get(2)?.contains("master") && words.iter().skip(8).any(holds);
            primary.then(|| self.servers.iter().position(|other| other.port == s.port))?
        })
    }
}

/// It knows all slots, and its replica or primary is connected.
fn whole(server: &Redis) -> bool {
    let said = server.cli(&["cluster", "info"]).unwrap_or_default();
    let replicas = server.cli(&["cluster", "nodes"]).unwrap_or_default().matches("slave").count();
    let follows =
        server.info("role").as_deref() != Some("slave") || server.info("master_link_status").as_deref() == Some("up");
    said.contains("cluster_state:ok") && said.contains("cluster_slots_ok:16384") && replicas == 3 && follows
}
