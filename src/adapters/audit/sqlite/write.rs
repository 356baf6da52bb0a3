//! Writes entries into `books.db`: events as the journal has them, and their effect on the rows of calls, with the new place
//! in the journal in the same transaction. Knows no question; `read` does. `rows` gathers what a batch does to rows, `together`
//! writes many by one statement.

mod rows;
mod together;

use std::sync::Arc;

use rusqlite::{Connection, Statement, ToSql, Transaction, params};

use self::rows::Rows;
use self::together::Insert;
use super::super::AuditError;
use super::super::Chained;
use super::value::{Count, Hash, StoredCall, Text};
use crate::rules::chain::Place;
use crate::rules::ledger::entry::{Entry, Op};
use crate::rules::subject::Facts;
use crate::units::ids::Seq;
use crate::units::table::Table;
use crate::units::time::Timestamp;

/// Groups of facts whose row number is remembered.
const REMEMBERED: usize = 16_384;

type Known = Table<Arc<Facts>, i64>;

pub(super) struct Writer {
    db: Connection,
    place: Place,
    known: Known,
    durable: bool,
}

impl Writer {
    pub(super) fn new(db: Connection) -> Result<Self, AuditError> {
        // 16 MiB of log between check points: fewer syncs under load, and still little to read back.
        db.pragma_update(None, "wal_autocheckpoint", 1024)?;
        // A batch and the upper pages of the indexes fit: a page is written once a batch.
        db.pragma_update(None, "cache_size", -32_768)?;
        // A row names facts that this writer has looked up or made: SQLite need not look again.
        db.pragma_update(None, "foreign_keys", false)?;
        synchronous(&db, false)?;
        let place = db.query_row("SELECT seq, head FROM place", [], |row| {
            Ok(Place { seq: row.get(0).map(|Count(seq)| seq)?, head: row.get(1).map(|Hash(head)| head)? })
        })?;
        Ok(Self { db, place, known: Known::default(), durable: false })
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// For tests: a disk that takes nothing.
    #[cfg(test)]
    pub(super) fn forbid_writes(&self, yes: bool) {
        self.db.pragma_update(None, "query_only", yes).expect("a pragma");
    }

    pub(super) fn apply(&mut self, events: &[Chained], durable: bool) -> Result<Seq, AuditError> {
        let written = self.try_apply(events, durable);
        if written.is_err() {
            // A row number of facts that was rolled back is nobody's.
            self.known.clear();
        }
        written
    }

    fn try_apply(&mut self, events: &[Chained], durable: bool) -> Result<Seq, AuditError> {
        self.set_durable(durable)?;
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        let tx = self.db.transaction()?;
        let place = put(&tx, &mut self.known, self.place, events)?;
        // Also without entries: only a transaction that writes forces the log to the disk.
        tx.prepare_cached("UPDATE place SET seq = ?1, head = ?2")?
            .execute(params![Count(place.seq), Hash(place.head)])?;
        tx.commit()?;
        self.place = place;
        Ok(place.seq)
    }

    fn set_durable(&mut self, durable: bool) -> Result<(), AuditError> {
        if self.durable != durable {
            synchronous(&self.db, durable)?;
            self.durable = durable;
        }
        Ok(())
    }

    /// A change that concerns no event. The log is one, so that forcing it forces all that was written before.
    pub(super) fn durably<T>(
        &mut self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, AuditError>,
    ) -> Result<T, AuditError> {
        self.set_durable(true)?;
        let tx = self.db.transaction()?;
        let done = change(&tx)?;
        tx.commit()?;
        Ok(done)
    }
}

fn synchronous(db: &Connection, full: bool) -> Result<(), AuditError> {
    Ok(db.pragma_update(None, "synchronous", if full { "FULL" } else { "NORMAL" })?)
}

/// All that comes after `last`. Gives the new place.
fn put(tx: &Transaction<'_>, known: &mut Known, last: Place, events: &[Chained]) -> Result<Place, AuditError> {
    let mut rows = Rows::new(tx, known);
    let mut place = last;
    // They come in order.
    let new = &events[events.partition_point(|e| e.record.seq <= last.seq)..];
    EVENTS.all(tx, new, bind)?;
    for Chained { record, head } in new {
        note_gap(tx, place.seq, record.seq)?;
        note_made(tx, record)?;
        rows.see(record)?;
        place = Place { seq: record.seq, head: *head };
    }
    rows.write()?;
    Ok(place)
}

const EVENTS: Insert =
    Insert { before: "INSERT OR FAIL INTO events VALUES", values: "(?,?,?,?,?,?)", columns: 6, after: "" };

fn bind(Chained { record, head }: &Chained, insert: &mut Statement<'_>, first: usize) -> rusqlite::Result<()> {
    let (kind, call) = (record.op.kind().map(|k| k.as_str()), record.op.call().map(StoredCall));
    let values: [&dyn ToSql; 6] = [&Count(record.seq), &record.at.0, &kind, &call, &Text(record.json()), &Hash(*head)];
    (first..).zip(values).try_for_each(|(at, value)| insert.raw_bind_parameter(at, value))
}

/// By the name of what a call made at its vendor, its event is found again.
fn note_made(tx: &Transaction<'_>, entry: &Entry) -> Result<(), AuditError> {
    let row = match &entry.op {
        Op::Commit { row, .. } | Op::Release { row, .. } => Some(row),
        Op::Adjust { row, .. } => row.as_ref(),
        _ => None,
    };
    if let Some(made) = row.and_then(|row| row.made.as_ref()) {
        let sql = "INSERT OR REPLACE INTO made VALUES (?1, ?2)";
        tx.prepare_cached(sql)?.execute(params![Count(entry.seq), &*made.object])?;
    }
    Ok(())
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
