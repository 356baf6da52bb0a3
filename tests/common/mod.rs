//! What the integration tests share: child processes that never outlive their test, waiting for facts, a running bursar with
//! its command line, and for those tests that play both ends of a call a mock vendor, a client and the books.
#![allow(dead_code, reason = "each test crate uses its own part of this")]

pub mod books;
pub mod bursar;
pub mod calls;
pub mod child;
pub mod client;
pub mod cut;
pub mod dice;
pub mod fleet;
pub mod house;
pub mod postgres;
pub mod raw;
pub mod redis;
pub mod sinkhole;
pub mod vendor;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a fact may take that is expected at once. Generous: the machine may be busy.
pub const SOON: Duration = Duration::from_secs(60);

/// The root of the repository.
pub fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What `tests/run` installed: the Python venv and the Node modules.
pub fn test_env() -> PathBuf {
    let folder = std::env::var_os("BURSAR_TEST_ENV").map_or_else(|| repo().join("target/test-env"), PathBuf::from);
    assert!(folder.join("node/made-from").exists(), "{} is not installed: run `tests/run env` once", folder.display());
    folder
}

/// A loopback port that nothing listens on, and that no other test is given as long as this process lives. It lies below
/// those that the kernel hands out, so that no connection and no other server takes it meanwhile.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    static TAKEN: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let locks = std::env::temp_dir().join("bursar-test-ports");
    fs::create_dir_all(&locks).expect("a folder for locks");
    let first = std::process::id() % 10_000;
    let candidates = (0..10_000).map(|_| 21_000 + (first as u16 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    let free = candidates.into_iter().find_map(|port| {
        let lock = File::create(locks.join(port.to_string())).ok()?;
        lock.try_lock().ok()?;
        TcpListener::bind(("127.0.0.1", port)).ok()?;
        Some((port, lock))
    });
    let (port, lock) = free.expect("a free port");
    TAKEN.lock().expect("nothing panics in between").push(lock);
    port
}

/// Asks for `fact` until it is there; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut fact: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = fact() {
            return found;
        }
        assert!(Instant::now() < end, "waited {limit:?} in vain for: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// The status and the body that a plain GET on loopback answers, or nothing while nobody answers.
pub fn http_get(port: u16, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}
