//! A book, written to Redis as the scripts keep a ledger: flags first, then holds, then accounts with what is held; at last
//! that all is there. Appends no event, since the books have them all.

use redis::ScriptInvocation;
use serde_json::{Map, Value, json};

use super::super::answer::Parts;
use super::super::{Inner, json as text};
use crate::adapters::ledger::LedgerError;
use crate::rules::ledger::ask::LEASE_SECS;
use crate::rules::ledger::book::{Book, Counted, Remembered};
use crate::rules::ledger::entry::Posting;
use crate::rules::subject::Flag;
use crate::units::amount::{Amounts, Unit};

/// Items of one script: it must not hold up the server.
const AT_ONCE: usize = 500;

/// What was written, for the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Loaded {
    pub flags: usize,
    pub open: usize,
    pub remembered: usize,
    pub accounts: usize,
}

/// One item, as the arguments of the script.
type Item = Vec<String>;

pub async fn load(inner: &Inner, book: &Book, flags: &[Flag]) -> Result<Loaded, LedgerError> {
    let holds: Vec<Remembered> = book.remembered().collect();
    let accounts = book.counted();
    put(inner, "flag", flags.iter().map(|f| vec![text(f)]).collect()).await?;
    put(inner, "replay", book.replays().map(|(key, call)| vec![key.0.to_string(), call.to_string()]).collect()).await?;
    put(inner, "paid", book.paid().map(|(key, until)| vec![until.0.to_string(), key.0.to_string()]).collect()).await?;
    put(inner, "hold", holds.iter().map(hold).collect()).await?;
    put(inner, "account", accounts.iter().filter_map(|cells| account(cells)).collect()).await?;
    put(inner, "whole", vec![vec!["1".to_owned()]]).await?;
    let open = holds.iter().filter(|h| h.end.is_none()).count();
    Ok(Loaded { flags: flags.len(), open, remembered: holds.len() - open, accounts: accounts.len() })
}

async fn put(inner: &Inner, what: &str, items: Vec<Item>) -> Result<(), LedgerError> {
    for some in items.chunks(AT_ONCE) {
        let mut call: ScriptInvocation<'_> = inner.prepare(&inner.scripts.load);
        call.arg(what).arg(some.len());
        for arg in some.iter().flatten() {
            call.arg(arg);
        }
        Parts::new(&inner.call(&call).await?)?;
    }
    Ok(())
}

/// `window|start:spent:held:open|…`. What was spent is for the books to say.
fn account(cells: &[Counted]) -> Option<Item> {
    let first = cells.first()?;
    let cell = |c: &Counted| format!("{}:0:{}:{}", c.start.0, c.held, c.open);
    let parts = std::iter::once(first.window.as_str().to_owned()).chain(cells.iter().map(cell));
    Some(vec![first.account.0.to_string(), parts.collect::<Vec<_>>().join("|")])
}

fn amounts(of: &Amounts) -> Value {
    Unit::ALL.iter().map(|unit| of.of(*unit)).collect()
}

fn posting(p: &Posting) -> Value {
    json!([p.account, p.unit, p.window, p.start.0])
}

/// As `lua/holds.lua` describes it. Lua tells no empty list from an empty map, and does not need to.
fn hold(h: &Remembered) -> Item {
    let mut map = Map::new();
    let mut put = |name: &str, value: Value| drop(map.insert(name.to_owned(), value));
    put("how", json!(h.end.as_ref().map_or("open", |e| e.how)));
    put("amounts", amounts(&h.amounts));
    put("postings", h.postings.iter().map(posting).collect());
    put("taken", json!(h.taken.0));
    put("step", json!(h.step));
    put("repeats", json!([]));
    h.fitted.into_iter().for_each(|fitted| put("fitted", json!(fitted)));
    h.facts.iter().for_each(|facts| put("facts", json!(text(&**facts))));
    if let Some(s) = &h.shared {
        put("key", json!(s.key.0.to_string()));
        s.first.iter().for_each(|first| put("first", json!(first)));
        put("repeats", json!(s.repeats));
        put("repeated", json!(s.repeated));
        put("inherited", json!(s.inherited));
        s.heard.iter().for_each(|e| put("heard", json!([e.money.usd.0, e.money.tokens, e.exact])));
    }
    let mut until = LEASE_SECS * 1_000_000;
    if let Some(e) = &h.end {
        until = e.until.0;
        put("at", json!(e.at.0));
        put("seq", json!(e.seq));
        put("charge", amounts(&e.charge));
        put("exact", json!(e.exact));
        put("changes", e.changes.iter().map(|(seq, before)| json!([seq, amounts(before)])).collect());
    }
    vec![h.hold.to_string(), until.to_string(), Value::Object(map).to_string()]
}
