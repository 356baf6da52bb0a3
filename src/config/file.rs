//! `bursar.toml`: the tables and keys of the file, read into `Config`. Knows the grammar; `vendors` knows the vendor tables.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::checked::{Audit, AuditStore, Config, CredentialSource, Limits, PostgresUrl, Prices, Server, Timeouts, Tls};
use super::mistake::Mistakes;
use super::raw::{self, Node, Table};
use crate::rules::vendors::Base;

use super::{approvers, egress, evidence, ledger, privacy, sinks, size, vendors};

/// Reads one file. `env` says what an environment variable holds; only vendors without a credential ask.
pub fn read(file: &str, text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Mistakes> {
    raw::read(file, text, |root| Some(config(&root, env)))
}

fn config(root: &Table<'_>, env: &dyn Fn(&str) -> Option<String>) -> Config {
    let section = |key| root.get(key).and_then(|node| node.table());
    let server = section("server").map(|t| server(&t)).unwrap_or_default();
    let ledger = section("ledger").map(|t| ledger::read(&t)).unwrap_or_default();
    let audit = section("audit").map(|t| audit(&t)).unwrap_or_default();
    let privacy = section("privacy").map(|t| privacy::read(&t)).unwrap_or_default();
    let egress = section("egress").map(|t| egress::read(&t)).unwrap_or_default();
    let prices = section("prices").map(|t| prices(&t)).unwrap_or_default();
    let sinks = sinks::read(root);
    let approvers = approvers::read(root);
    let (vendors, credentials) = vendors::read(section("vendors").as_ref(), root, env);
    root.done();
    Config { server, ledger, audit, sinks, approvers, privacy, egress, vendors, credentials, prices, file: None }
}

fn server(table: &Table<'_>) -> Server {
    let mut server = Server::default();
    set(&mut server.listen, table.get("listen").and_then(|n| address(&n)));
    set(&mut server.admin, table.get("admin").and_then(|n| address(&n)));
    set(&mut server.data, table.get("data").and_then(|n| path(&n)));
    set(&mut server.policies, table.get("policies").and_then(|n| path(&n)));
    server.public_url = table.get("public_url").and_then(|n| n.parsed(public_url));
    server.tls = table.get("tls").and_then(|n| n.table()).and_then(|t| tls(&t));
    set(&mut server.timeouts, table.get("timeouts").and_then(|n| n.table()).map(|t| timeouts(&t)));
    set(&mut server.limits, table.get("limits").and_then(|n| n.table()).map(|t| limits(&t)));
    if server.listen == server.admin && server.listen.port() != 0 {
        table.wrong("`listen` and `admin` are the same address: agents and operators call at different ones");
    }
    table.done();
    server
}

/// What a vendor was told, as it signs it.
pub(super) fn public_url(text: &str) -> Result<String, String> {
    let base = Base::parse(text).map_err(|why| format!("{why}: write `https://bursar.example.com`"))?;
    let scheme = if base.tls { "https" } else { "http" };
    Ok(format!("{scheme}://{}{}", base.authority, base.prefix))
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    node.parsed(parse_address)
}

/// `127.0.0.1:8787`, `[::1]:8787`, `localhost:8787`, `:8787`.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let local = text.strip_prefix("localhost:").or(text.strip_prefix(':'));
    let full = local.map_or_else(|| text.to_owned(), |port| format!("127.0.0.1:{port}"));
    full.parse().map_err(|_| {
        format!("`{text}` is no address to listen on: write an IP address and a port, such as `127.0.0.1:8787`")
    })
}

pub(super) fn path(node: &Node<'_>) -> Option<PathBuf> {
    let text = node.text()?;
    if text.is_empty() {
        node.wrong("the path is empty");
    }
    Some(text.into())
}

fn tls(table: &Table<'_>) -> Option<Tls> {
    let need = |key| table.need(key, "a PEM file; `cert` and `key` go together").and_then(|node| path(&node));
    let (cert, key) = (need("cert"), need("key"));
    table.done();
    Some(Tls { cert: cert?, key: key? })
}

fn timeouts(table: &Table<'_>) -> Timeouts {
    let or = |key, default| {
        let node = table.get(key);
        let value = node.as_ref().and_then(|n| n.duration());
        if let (Some(node), true) = (&node, value.is_some_and(|d| d.is_zero())) {
            node.wrong("it must be longer than nothing");
        }
        value.unwrap_or(default)
    };
    let default = Timeouts::default();
    let timeouts = Timeouts {
        connect: or("connect", default.connect),
        upload: or("upload", default.upload),
        header: or("header", default.header),
        idle: or("idle", default.idle),
        pool: or("pool", default.pool),
        caller: or("caller", default.caller),
        drain: or("drain", default.drain),
    };
    table.done();
    timeouts
}

fn limits(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let size = |key, default| table.get(key).and_then(|n| n.parsed(size::parse)).unwrap_or(default);
    let limits = Limits {
        body: size("body", default.body),
        header_bytes: size("header_bytes", default.header_bytes),
        headers: table.get("headers").and_then(|n| headers(&n)).unwrap_or(default.headers),
    };
    if limits.header_bytes < LEAST_HEADER_BYTES {
        table.wrong("`header_bytes` is below 8KiB, the least that the HTTP library can work with");
    }
    table.done();
    limits
}

/// hyper's smallest read buffer.
const LEAST_HEADER_BYTES: usize = 8 << 10;

fn headers(node: &Node<'_>) -> Option<usize> {
    let count = node.count()?;
    if !(1..=1000).contains(&count) {
        node.wrong("it must be 1 to 1000");
    }
    usize::try_from(count).ok()
}

fn audit(table: &Table<'_>) -> Audit {
    let password = table.get("password");
    let source = password.as_ref().and_then(|n| n.parsed(vendors::source));
    let store = table.get("store").and_then(|n| n.parsed(|text| audit_store(text, source))).unwrap_or_default();
    if let (Some(node), AuditStore::Sqlite) = (password, &store) {
        node.wrong("only `postgres://…` has a password");
    }
    let fleet = table.get("fleet").and_then(|n| fleet(&n, &store));
    let backlog = table.get("backlog").and_then(|n| backlog(&n)).unwrap_or(Audit::default().backlog);
    let evidence = evidence::read(table);
    table.done();
    Audit { store, backlog, fleet, evidence }
}

fn fleet(node: &Node<'_>, store: &AuditStore) -> Option<String> {
    let name = node.text()?;
    if *store == AuditStore::Sqlite {
        node.wrong("keys are shared in `postgres://…`; SQLite is one node's alone");
    }
    if !plain_name(name) {
        node.wrong("a fleet's name has 1 to 64 letters, digits, `-`, `_` or `.`");
    }
    Some(name.to_owned())
}

pub(super) fn plain_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn backlog(node: &Node<'_>) -> Option<u64> {
    let entries = node.count()?;
    if entries < LEAST_BACKLOG {
        node.wrong(format!("it must be {LEAST_BACKLOG} or more: the books are always a little behind"));
    }
    Some(entries)
}

/// A busy second of a small machine.
const LEAST_BACKLOG: u64 = 1000;

/// Never repeats the address: it may hold a password.
fn audit_store(text: &str, password: Option<CredentialSource>) -> Result<AuditStore, &'static str> {
    match text.split_once("://") {
        None if text == "sqlite" => Ok(AuditStore::Sqlite),
        Some(("postgres" | "postgresql", rest)) if !rest.is_empty() => {
            Ok(AuditStore::Postgres { url: PostgresUrl::new(text.to_owned()), password })
        }
        _ => Err("it must be `sqlite` or `postgres://user@host:5432/database`"),
    }
}

fn prices(table: &Table<'_>) -> Prices {
    let overrides = table.get("overrides").and_then(|n| path(&n));
    table.done();
    Prices { overrides }
}
