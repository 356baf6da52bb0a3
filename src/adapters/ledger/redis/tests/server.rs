//! A real Redis on a free port, for one test; it ends with the test, by its own id.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::Redis;
use super::super::keys::Keys;
use super::super::link::{Options, Patience};
use super::super::scripts::Scripts;
use crate::adapters::audit::AuditStore;
use crate::adapters::audit::sqlite::SqliteBooks;

/// More than one would set for real: the machine may be busy with other tests.
fn patient() -> Options {
    let patience = Patience { connect: Duration::from_secs(5), answer: Duration::from_secs(5) };
    Options { patience, ..Options::default() }
}

pub struct Server {
    child: Child,
    pub url: String,
    pub dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or_default();
    }
}

impl Server {
    /// One for many seeds, and who waits for it: each seed has a ledger of its own there.
    pub fn stage() -> (Runtime, Self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let server = runtime.block_on(Self::start());
        (runtime, server)
    }

    /// Answers once it has started.
    pub async fn start() -> Self {
        let dir = TempDir::new().expect("a folder");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let mut command = Command::new("setpriv");
        // The kernel ends it should the test be killed.
        command.args(["--pdeathsig", "KILL", "--", "redis-server", "--port", &free.to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(dir.path()).stdout(Stdio::null());
        let child = command.spawn().expect("redis-server is installed (tests/run does it)");
        let server = Self { child, url: format!("redis://127.0.0.1:{free}/0"), dir };
        let begun = Instant::now();
        while server.try_connect().await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(30), "redis-server does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    async fn try_connect(&self) -> redis::RedisResult<MultiplexedConnection> {
        // A machine that is busy with other tests is slow to answer.
        let patience = Some(Duration::from_secs(10));
        let patient = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
        redis::Client::open(&*self.url)?.get_multiplexed_async_connection_with_config(&patient).await
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        self.try_connect().await.expect("it answers")
    }

    /// Books of their own for one ledger.
    pub fn books(&self, name: &str) -> Arc<SqliteBooks> {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Arc::new(SqliteBooks::open(&folder).expect("books"))
    }

    /// A ledger whose clock is the test's, if it is made now. Its user may touch the ledger's own keys and no others, so that
    /// a script that makes up a name fails.
    pub async fn ledger(&self, name: &str, node: &str, books: Arc<dyn AuditStore>, now: Option<i64>) -> Redis {
        let keys = Keys::new(name);
        let mut user = redis::cmd("ACL");
        user.arg("SETUSER").arg(name).arg(&["reset", "on", ">secret", "+@all"]).arg(format!("&{}", keys.bell()));
        for key in keys.all() {
            user.arg(format!("~{key}"));
        }
        let _: () = user.query_async(&mut self.connection().await).await.expect("it answers");
        let url = self.url.replace("redis://", &format!("redis://{name}:secret@"));
        // The second node is of another version: its scripts have other hashes, and share the ledger all the same.
        let scripts = if node == "two" { Scripts::told_apart("-- another version\n") } else { Scripts::new() };
        Redis::open_with(&url, name, node, books, (patient(), scripts, now)).await.expect("it opens")
    }
}
