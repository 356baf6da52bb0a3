//! The connections of one generation. They live and end together: what one of them shows about the server is true of all.
//! Says that they ended; `keeper` makes the next ones.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use redis::RedisError;
use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;

use super::LinkError;
use super::dial::{Driven, Endpoint};

/// One connection that many calls share, pipelined.
pub(super) struct Lane(Driven);

impl Lane {
    pub fn new(driven: Driven) -> Self {
        Self(driven)
    }

    pub fn connection(&self) -> MultiplexedConnection {
        self.0.connection.clone()
    }
}

pub(super) struct Lanes {
    pub generation: u64,
    pub at: Endpoint,
    pub plain: Lane,
    /// For what is no script and may be long to read: it holds up no call.
    pub aside: Lane,
    /// `WAIT` holds up whatever comes after it on its connection, so those calls have connections of their own.
    waiting: Vec<Lane>,
    next: AtomicUsize,
    over: Over,
}

/// Why connections are used no more.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    pub why: String,
    /// The server is there and does not answer: no use in asking again at once.
    pub hangs: bool,
}

/// Whether connections are still used. The first reason to end them stays.
#[derive(Clone, Default)]
pub(super) struct Over {
    ended: Arc<OnceLock<Ended>>,
    token: CancellationToken,
}

impl Over {
    pub fn because(&self, why: impl fmt::Display, hangs: bool) {
        self.ended.get_or_init(|| Ended { why: why.to_string(), hangs });
        self.token.cancel();
    }

    pub async fn told(&self) -> Ended {
        self.token.cancelled().await;
        self.ended.get().cloned().unwrap_or_default()
    }
}

impl Lanes {
    pub fn new(generation: u64, at: Endpoint, [plain, aside]: [Lane; 2], waiting: Vec<Lane>, over: Over) -> Self {
        Self { generation, at, plain, aside, waiting, next: AtomicUsize::new(0), over }
    }

    /// The next of those that may be held up.
    pub fn waiting(&self) -> &Lane {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.waiting.get(turn % self.waiting.len().max(1)).unwrap_or(&self.plain)
    }

    pub fn over(&self) -> &Over {
        &self.over
    }

    pub fn are_over(&self) -> bool {
        self.over.token.is_cancelled()
    }

    /// A call could not be carried to its end.
    pub fn broken(&self, e: &RedisError, fate: fn(String) -> LinkError) -> LinkError {
        let why = format!("redis at {}: the connection broke before an answer came ({e})", self.at);
        self.over.because(&why, false);
        fate(why)
    }
}
