//! Writes entries into `books.db`: events as they are, and their effect on the rows of calls, with the new place in the
//! journal in the same transaction. Knows no question; `read` does.

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};

use super::super::project::{self, Change};
use super::super::{AuditError, Event};
use super::value::{Count, StoredCall};
use crate::rules::books::{Outcome, Verdict};
use crate::rules::ledger::entry::Entry;
use crate::rules::subject::Facts;
use crate::units::amount::{Amounts, Unit};
use crate::units::ids::{CallId, Seq};
use crate::units::time::Timestamp;

/// Groups of facts whose row number is remembered.
const REMEMBERED: usize = 16_384;

pub(super) struct Writer {
    db: Connection,
    last: Seq,
    known: HashMap<String, i64>,
}

impl Writer {
    pub(super) fn new(db: Connection) -> Result<Self, AuditError> {
        // 16 MiB of log between check points: fewer syncs under load, and still little to read back.
        db.pragma_update(None, "wal_autocheckpoint", 4096)?;
        // A batch and the upper pages of the indexes fit: a page is written once a batch.
        db.pragma_update(None, "cache_size", -32_768)?;
        let last = db.query_row("SELECT seq FROM place", [], |row| row.get(0)).map(|Count(seq)| seq)?;
        Ok(Self { db, last, known: HashMap::new() })
    }

    pub(super) fn last(&self) -> Seq {
        self.last
    }

    /// For tests: a disk that takes nothing.
    #[cfg(test)]
    pub(super) fn forbid_writes(&self, yes: bool) {
        self.db.pragma_update(None, "query_only", yes).expect("a pragma");
    }

    pub(super) fn apply(&mut self, entries: &[Entry], durable: bool) -> Result<Seq, AuditError> {
        let written = self.try_apply(entries, durable);
        if written.is_err() {
            // A row number of facts that was rolled back is nobody's.
            self.known.clear();
        }
        written
    }

    fn try_apply(&mut self, entries: &[Entry], durable: bool) -> Result<Seq, AuditError> {
        self.db.pragma_update(None, "synchronous", if durable { "FULL" } else { "NORMAL" })?;
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        let last = self.last;
        let tx = self.db.transaction()?;
        let mut place = last;
        for entry in entries.iter().filter(|e| e.seq > last) {
            note_gap(&tx, place, entry.seq)?;
            put_entry(&tx, &mut self.known, entry)?;
            place = entry.seq;
        }
        // Also without entries: only a transaction that writes forces the log to the disk.
        tx.prepare_cached("UPDATE place SET seq = ?1")?.execute([Count(place)])?;
        tx.commit()?;
        self.last = place;
        Ok(place)
    }
}

/// Entries that the journal no longer has, and these books never had, are said to be missing, never passed over.
fn note_gap(tx: &Transaction<'_>, place: Seq, seq: Seq) -> Result<(), AuditError> {
    if seq == place + 1 {
        return Ok(());
    }
    tracing::error!(from = place + 1, to = seq - 1, "the journal has entries that never reached the books");
    let now = Timestamp::now();
    tx.execute("INSERT OR REPLACE INTO gaps VALUES (?1, ?2, ?3)", params![Count(place + 1), Count(seq - 1), now.0])?;
    Ok(())
}

fn put_entry(tx: &Transaction<'_>, known: &mut HashMap<String, i64>, entry: &Entry) -> Result<(), AuditError> {
    put_event(tx, &project::event(entry)?)?;
    match project::change(&entry.op) {
        None => Ok(()),
        Some(Change::Open { call, facts, verdict, outcome }) => {
            let facts = facts.map(|f| facts_row(tx, known, f)).transpose()?;
            open(tx, entry, call, facts, verdict, outcome)
        }
        Some(Change::Close { call, outcome, charge, flagged }) => close(tx, entry.seq, call, outcome, &charge, flagged),
        Some(Change::Adjust { call, outcome: Some(outcome), charge, flagged }) => {
            close(tx, entry.seq, call, outcome, &charge, flagged)
        }
        Some(Change::Adjust { call, outcome: None, charge, flagged }) => adjust(tx, entry.seq, call, &charge, flagged),
    }
}

fn put_event(tx: &Transaction<'_>, e: &Event) -> Result<(), AuditError> {
    let sql = "INSERT INTO events (seq, at, kind, call_id, body) VALUES (?1, ?2, ?3, ?4, ?5)";
    let (kind, call) = (e.kind.map(|k| k.as_str()), e.call.map(StoredCall));
    tx.prepare_cached(sql)?.execute(params![Count(e.seq), e.at.0, kind, call, e.body])?;
    Ok(())
}

fn open(
    tx: &Transaction<'_>,
    entry: &Entry,
    call: CallId,
    facts: Option<i64>,
    verdict: Verdict,
    outcome: Option<Outcome>,
) -> Result<(), AuditError> {
    // A second opening of one call keeps the first row; its event is there all the same.
    let sql = "INSERT INTO call_rows (seq, call_id, at, facts, admitted, verdict, outcome)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (call_id) DO NOTHING";
    let (seq, admitted, outcome) = (Count(entry.seq), outcome.is_none(), outcome.map(Outcome::as_str));
    let row = params![seq, StoredCall(call), entry.at.0, facts, admitted, verdict.as_str(), outcome];
    tx.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn close(
    tx: &Transaction<'_>,
    seq: Seq,
    call: CallId,
    outcome: Outcome,
    charge: &Amounts,
    flagged: bool,
) -> Result<(), AuditError> {
    let sql =
        "UPDATE call_rows SET closed = ?2, outcome = ?3, flagged = ?4, usd = ?5, tokens = ?6, calls = ?7, risk = ?8
        WHERE call_id = ?1";
    let [usd, tokens, calls, risk] = Unit::ALL.map(|u| Count(charge.of(u)));
    let (id, seq) = (StoredCall(call), Count(seq));
    tx.prepare_cached(sql)?.execute(params![id, seq, outcome.as_str(), flagged, usd, tokens, calls, risk])?;
    Ok(())
}

fn adjust(tx: &Transaction<'_>, seq: Seq, call: CallId, charge: &Amounts, flagged: bool) -> Result<(), AuditError> {
    let sql = "UPDATE call_rows SET adjusted = ?2, flagged = ?3, usd = ?4, tokens = ?5, calls = ?6, risk = ?7
        WHERE call_id = ?1";
    let [usd, tokens, calls, risk] = Unit::ALL.map(|u| Count(charge.of(u)));
    let (id, seq) = (StoredCall(call), Count(seq));
    tx.prepare_cached(sql)?.execute(params![id, seq, flagged, usd, tokens, calls, risk])?;
    Ok(())
}

/// The row number of a group of facts; made if it is new.
fn facts_row(tx: &Transaction<'_>, known: &mut HashMap<String, i64>, facts: &Facts) -> Result<i64, AuditError> {
    let group = match facts.subject.dimensions.is_empty() {
        true => Cow::Borrowed(facts),
        false => Cow::Owned(project::group(facts)),
    };
    let json = serde_json::to_string(&group).map_err(|e| AuditError::Unreadable(e.to_string()))?;
    if let Some(id) = known.get(&json) {
        return Ok(*id);
    }
    let id = find_or_insert(tx, &group, &json)?;
    known.insert(json, id);
    Ok(id)
}

fn find_or_insert(tx: &Transaction<'_>, f: &Facts, json: &str) -> Result<i64, AuditError> {
    let sql = "INSERT INTO facts (json, tenant, agent, run, key, policy, vendor, operation)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (json) DO UPDATE SET tenant = tenant RETURNING id";
    let s = &f.subject;
    let key = f.keys.first().map(|k| k.as_str());
    let row =
        params![json, &*s.tenant, s.agent.as_deref(), s.run.as_deref(), key, &*f.policy, &*f.vendor, &*f.operation];
    Ok(tx.prepare_cached(sql)?.query_row(row, |row| row.get(0))?)
}
