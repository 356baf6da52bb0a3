//! `[ledger]`: where holds are taken, and what a fleet's ledger on Redis may cost in waiting. Does not read the address: it may
//! hold a password, and what connects there knows its forms.

use super::checked::{CredentialSource, Durability, Ledger, LedgerStore, RedisUrl};
use super::file::{plain_name, set};
use super::raw::{Node, Table};
use super::redis::{RedisAddress, is_redis};
use super::vendors;

pub(super) fn read(table: &Table<'_>) -> Ledger {
    let mut ledger = Ledger::default();
    let password = table.get("password");
    let source = password.as_ref().and_then(|n| n.parsed(vendors::source));
    let named = table.get("store").map(|n| n.parsed(|text| store(text, source)));
    // Nobody knows what an address that cannot be read was meant to be.
    let here = matches!(named, None | Some(Some(LedgerStore::Embedded)));
    set(&mut ledger.store, named.flatten());
    let words = [("process", Durability::Process), ("power", Durability::Power)];
    set(&mut ledger.durability, table.get("durability").and_then(|n| n.word(&words)));
    if let Some(node) = table.get("name") {
        let text = node.text().unwrap_or("bursar");
        // It becomes part of key names in Redis, between braces.
        if !plain_name(text) {
            node.wrong("a ledger's name has 1 to 64 letters, digits, `-`, `_` or `.`");
        }
        ledger.name = text.into();
    }
    let (patience, replicas) = (table.get("patience"), table.get("wait_replicas"));
    let silence = table.get("max_silence");
    if here {
        let without_use = [&password, &patience, &replicas, &silence].into_iter().flatten();
        without_use.for_each(|node| node.wrong("it is for a ledger on Redis: `store = \"redis://…\"`"));
    }
    set(&mut ledger.patience, patience.and_then(|n| wait(&n)));
    set(&mut ledger.wait_replicas, replicas.and_then(|n| count(&n)));
    set(&mut ledger.max_silence, silence.and_then(|n| bounded_silence(&n)));
    table.done();
    ledger
}

/// Never repeats the address: it may hold a password.
fn store(text: &str, password: Option<CredentialSource>) -> Result<LedgerStore, &'static str> {
    if text == "embedded" {
        return Ok(LedgerStore::Embedded);
    }
    match text.split_once("://") {
        Some(_) if is_redis(text) => {
            RedisAddress::parse(text)?;
            Ok(LedgerStore::Redis { url: RedisUrl::new(text.to_owned()), password })
        }
        _ => Err("it must be `embedded` or an address such as `redis://host:6379/0`"),
    }
}

fn wait(node: &Node<'_>) -> Option<std::time::Duration> {
    let wait = node.duration()?;
    if !(50..=10_000).contains(&wait.as_millis()) {
        node.wrong("it must be 50ms to 10s: a call waits so long at most for the ledger");
    }
    Some(wait)
}

fn bounded_silence(node: &Node<'_>) -> Option<std::time::Duration> {
    let silence = node.duration()?;
    if !(1..=3600).contains(&silence.as_secs()) {
        node.wrong("it must be 1s to 1h: so long a call may run on that nobody can revoke");
    }
    Some(silence)
}

fn count(node: &Node<'_>) -> Option<u32> {
    let count = node.count()?;
    if count > 8 {
        node.wrong("it must be 8 or less");
    }
    u32::try_from(count).ok()
}
