//! A Redis of a benchmark's own, on a free port, and a ledger on it. It ends with the benchmark, by its own id.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bursar::adapters::audit::sqlite::SqliteBooks;
use bursar::adapters::ledger::redis::Redis;
use bursar::adapters::ledger::redis::link::{Options, Patience};
use tempfile::TempDir;

pub struct Server {
    pub child: Child,
    pub url: String,
    pub dir: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or_default();
    }
}

pub fn start(more: &[&str]) -> Server {
    let dir = TempDir::new().expect("a folder");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
        .arg(dir.path())
        .args(more);
    let child = command.stdout(Stdio::null()).spawn().expect("redis-server is installed (tests/run does it)");
    Server { child, url: format!("redis://127.0.0.1:{port}/0"), dir }
}

pub async fn open(server: &Server) -> Redis {
    let books = Arc::new(SqliteBooks::open(server.dir.path()).expect("books"));
    let patience = Patience { connect: Duration::from_secs(5), answer: Duration::from_secs(5) };
    let begun = Instant::now();
    loop {
        let options = Options { patience, ..Options::default() };
        match Redis::open_on(&server.url, "bursar", "node-1", books.clone(), options).await {
            Ok(ledger) => return ledger,
            Err(e) => assert!(begun.elapsed() < Duration::from_secs(20), "{e}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
