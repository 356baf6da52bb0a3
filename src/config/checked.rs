//! The configuration as the rest sees it: every value checked, every default filled in. Reads nothing.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::approvers::Approvers;
use super::egress::Egress;
use super::evidence::Evidence;
use super::privacy::Privacy;
use super::sinks::Sink;
use crate::rules::subject::Name;
use crate::rules::vendors::Vendor;
use crate::units::secret::Secret;

/// All of `bursar.toml`, with flags and environment on top.
#[derive(Clone, Debug, Default)]
pub struct Config {
    pub server: Server,
    pub ledger: Ledger,
    pub audit: Audit,
    pub sinks: Vec<Sink>,
    pub approvers: Approvers,
    pub privacy: Privacy,
    pub egress: Egress,
    /// The shipped ones, adjusted, then the operator's own.
    pub vendors: Vec<Arc<Vendor>>,
    pub credentials: Vec<Credential>,
    pub prices: Prices,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Agents call here.
    pub listen: SocketAddr,
    /// Operators call here.
    pub admin: SocketAddr,
    pub data: PathBuf,
    pub policies: PathBuf,
    /// Where vendors reach the gateway from outside, without a slash at the end.
    pub public_url: Option<String>,
    pub tls: Option<Tls>,
    pub timeouts: Timeouts,
    pub limits: Limits,
}

/// PEM files of the agents' listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// DNS, TCP and TLS to the vendor.
    pub connect: Duration,
    /// Between two pieces of a request on its way to the vendor.
    pub upload: Duration,
    /// From the last byte of a request to the first of its answer.
    pub header: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// How long an unused connection to a vendor is kept.
    pub pool: Duration,
    /// How long a caller may take to send its headers.
    pub caller: Duration,
    /// How long calls in flight may go on at shutdown, and an answer is read whose caller has left.
    pub drain: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest body that is held in memory because a rule or an estimate reads it; a larger one is a 413.
    pub body: usize,
    /// All headers of a request together, in bytes.
    pub header_bytes: usize,
    /// How many headers a request may have.
    pub headers: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub store: LedgerStore,
    pub durability: Durability,
    /// Ledgers of different names share no account, also on one Redis.
    pub name: Name,
    /// On Redis: how long a command may take, and how many replicas must have a hold before its call leaves.
    pub patience: Duration,
    pub wait_replicas: u32,
    /// Without a word from Redis for so long, a node ends its calls in flight.
    pub max_silence: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerStore {
    Embedded,
    Redis {
        url: RedisUrl,
        /// Instead of one in the address.
        password: Option<CredentialSource>,
    },
}

/// An address that may hold a password, so it prints as its scheme alone.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(Secret);

impl RedisUrl {
    pub fn new(url: String) -> Self {
        Self(Secret::new(url))
    }

    /// For the client that connects there.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redis://…")
    }
}

/// As `RedisUrl`: it may hold a password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl(Secret);

impl PostgresUrl {
    pub fn new(url: String) -> Self {
        Self(Secret::new(url))
    }

    /// For the client that connects there.
    pub fn expose(&self) -> &str {
        // It was made from a text.
        std::str::from_utf8(self.0.expose()).unwrap_or_default()
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://…")
    }
}

/// What an acknowledged write survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process.
    Process,
    /// The end of power.
    Power,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    pub store: AuditStore,
    /// Entries that the books may be behind the journal before calls are refused.
    pub backlog: u64,
    /// Nodes that share their keys and flags in this store bear one name.
    pub fleet: Option<String>,
    pub evidence: Evidence,
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum AuditStore {
    #[default]
    Sqlite,
    Postgres {
        url: PostgresUrl,
        /// Instead of one in the address.
        password: Option<CredentialSource>,
    },
}

/// Where one credential of a vendor comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub vendor: Name,
    /// `default` for the one that a policy need not name.
    pub name: Name,
    pub source: CredentialSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialSource {
    Env(String),
    File(PathBuf),
}

#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Prices {
    /// On top of the shipped book.
    pub overrides: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 8787).into(),
            admin: (Ipv4Addr::LOCALHOST, 8788).into(),
            data: "bursar-data".into(),
            policies: "policies".into(),
            public_url: None,
            tls: None,
            timeouts: Timeouts::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            upload: Duration::from_secs(120),
            // A long answer that is not streamed sends nothing before its end; the SDKs themselves wait ten minutes.
            header: Duration::from_secs(600),
            idle: Duration::from_secs(300),
            // Many servers close a connection after 5 s (Node, uvicorn, Apache) without a word. A call that meets its end in
            // flight breaks, and only some can be repeated; a new connection costs a handshake.
            pool: Duration::from_secs(4),
            caller: Duration::from_secs(30),
            drain: Duration::from_secs(30),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 10 << 20, header_bytes: 64 << 10, headers: 100 }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            store: LedgerStore::Embedded,
            durability: Durability::Process,
            name: "bursar".into(),
            patience: Duration::from_secs(1),
            wait_replicas: 0,
            max_silence: Duration::from_secs(10),
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self { store: AuditStore::default(), backlog: 1_000_000, fleet: None, evidence: Evidence::default() }
    }
}
