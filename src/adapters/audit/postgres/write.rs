//! Writes entries into PostgreSQL: events by COPY as the journal has them, their effect on the rows of calls, and the new place
//! in the journal, in one transaction. Knows no question; `read` does. `rows` gathers what a batch does to rows, `months`
//! makes partitions.

mod months;
mod rows;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::super::{AuditError, Chained};
use super::connect::{Address, Link};
use super::pool::Answer;
use super::{schema, turns};
use crate::rules::chain::Place;
use crate::rules::subject::Facts;
use crate::units::ids::{Digest32, Seq};
use crate::units::time::Timestamp;
use months::Months;
pub(super) use rows::storable;

/// Groups of facts whose row number is remembered.
const REMEMBERED: usize = 16_384;
const RETRY: Duration = Duration::from_millis(250);

type Known = HashMap<Arc<Facts>, i64>;

pub(super) struct Writer {
    address: Arc<Address>,
    /// `None` after an error: nobody knows what state that connection was in.
    link: Option<Link>,
    /// A connection without the lock, to ask for it.
    candidate: Option<Link>,
    place: Place,
    known: Known,
    months: Months,
}

/// A count as PostgreSQL keeps it: its integers end at 2^63 - 1, far beyond any sequence number or amount.
pub(super) fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

impl Writer {
    /// Tries for so long to get a connection, and the lock where nobody shares these books.
    pub(super) async fn open(
        address: Arc<Address>,
        shared: bool,
        patience: Duration,
    ) -> Result<(Self, Place), AuditError> {
        let give_up = Instant::now() + patience;
        loop {
            match Self::begin(&address, shared).await {
                Err(AuditError::Store(why)) if Instant::now() < give_up => {
                    tracing::info!("the books are not open yet: {why}");
                    sleep(RETRY).await;
                }
                other => return other,
            }
        }
    }

    async fn begin(address: &Arc<Address>, shared: bool) -> Result<(Self, Place), AuditError> {
        let link = address.connect().await?;
        let leads =
            if shared { turns::take(&link.client).await? } else { turns::insist(&link.client).await.map(|()| true)? };
        if leads {
            schema::migrate(&link.client).await?;
        } else {
            schema::is_current(&link.client).await?;
        }
        let place = place(&link.client).await?;
        let (link, candidate) = if leads { (Some(link), None) } else { (None, Some(link)) };
        let (address, known, months) = (address.clone(), Known::new(), Months::default());
        Ok((Self { address, link, candidate, place, known, months }, place))
    }

    /// Is it this process's turn to write? Takes it where nobody has it.
    pub(super) async fn lead(&mut self) -> Result<bool, AuditError> {
        if let Some(link) = self.link.take().filter(|link| !link.client.is_closed()) {
            // So that the server sees that somebody is there.
            if link.client.batch_execute("SELECT 1").await.is_ok() {
                self.link = Some(link);
                return Ok(true);
            }
        }
        let link = match self.candidate.take().filter(|link| !link.client.is_closed()) {
            Some(link) => link,
            None => self.address.connect().await?,
        };
        if !turns::take(&link.client).await? {
            turns::free_from_the_silent(&link.client).await?;
            self.candidate = Some(link);
            return Ok(false);
        }
        self.months = Months::default();
        self.known.clear();
        self.place = place(&link.client).await?;
        self.link = Some(link);
        Ok(true)
    }

    /// With the connection goes the lock.
    pub(super) fn resign(&mut self) {
        self.link = None;
    }

    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// All of it, or nothing. After an error the next batch is written on a new connection.
    pub(super) async fn apply(&mut self, events: &[Chained], durable: bool) -> Result<Place, AuditError> {
        if self.known.len() > REMEMBERED {
            self.known.clear();
        }
        let link = self.take_link().await?;
        // What was remembered in a transaction that did not end is nobody's.
        let mut known = std::mem::take(&mut self.known);
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            self.months.ready(&link.client, first.record.at, last.record.at).await?;
        }
        self.place = self.batch(&link.client, &mut known, events, durable).await?;
        (self.known, self.link) = (known, Some(link));
        Ok(self.place)
    }

    /// Taken out: an error, or an end half-way, leaves no connection behind.
    async fn take_link(&mut self) -> Result<Link, AuditError> {
        if let Some(link) = self.link.take().filter(|link| !link.client.is_closed()) {
            return Ok(link);
        }
        // It may be another server by now, put back from a copy.
        self.months = Months::default();
        connect(&self.address).await
    }

    /// A change that concerns no event, in a transaction of its own.
    pub(super) async fn durably<T>(
        &mut self,
        change: impl for<'a> Fn(&'a Client) -> Answer<'a, T>,
    ) -> Result<T, AuditError> {
        let link = self.take_link().await?;
        link.client.batch_execute("BEGIN; SET LOCAL synchronous_commit TO on").await?;
        let changed = change(&link.client).await?;
        link.client.batch_execute("COMMIT").await?;
        self.link = Some(link);
        Ok(changed)
    }

    async fn batch(
        &mut self,
        db: &Client,
        known: &mut Known,
        events: &[Chained],
        durable: bool,
    ) -> Result<Place, AuditError> {
        let commit = if durable { "on" } else { "off" };
        db.batch_execute(&format!("BEGIN; SET LOCAL synchronous_commit TO {commit}")).await?;
        // The truth is there, not here: the last commit may have been made and not acknowledged. The lock on the row holds
        // off any second writer, whoever let it in.
        let last = place_in(&db.query_one("SELECT seq, head FROM place FOR UPDATE", &[]).await?)?;
        let went_back = last.seq < self.place.seq;
        let was = std::mem::replace(&mut self.place, last);
        if went_back {
            let why =
                format!("PostgreSQL went back from entry {} to {}: it was restored or failed over", was.seq, last.seq);
            return Err(AuditError::Store(why));
        }
        let place = put(db, known, last, events).await?;
        db.execute("UPDATE place SET seq = $1, head = $2", &[&signed(place.seq), &place.head.0.as_slice()]).await?;
        db.batch_execute("COMMIT").await?;
        Ok(place)
    }
}

async fn connect(address: &Address) -> Result<Link, AuditError> {
    let link = address.connect().await?;
    turns::insist(&link.client).await?;
    Ok(link)
}

pub(super) async fn place(db: &Client) -> Result<Place, AuditError> {
    place_in(&db.query_one("SELECT seq, head FROM place", &[]).await?)
}

fn place_in(row: &Row) -> Result<Place, AuditError> {
    let seq: i64 = row.try_get(0)?;
    Ok(Place { seq: u64::try_from(seq).unwrap_or(0), head: head(row, 1)? })
}

pub(super) fn head(row: &Row, column: usize) -> Result<Digest32, AuditError> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map(Digest32).map_err(|_| AuditError::Unreadable("a head of the chain is no hash".to_owned()))
}

/// All that comes after `last`. Gives the new place.
async fn put(db: &Client, known: &mut Known, last: Place, events: &[Chained]) -> Result<Place, AuditError> {
    let new: Vec<&Chained> = events.iter().filter(|e| e.record.seq > last.seq).collect();
    let Some(end) = new.last() else { return Ok(last) };
    copy(db, &new).await?;
    let mut rows = rows::Rows::default();
    let mut before = last.seq;
    for event in &new {
        note_gap(db, before, event.record.seq).await?;
        rows.see(&event.record);
        before = event.record.seq;
    }
    rows.write(db, known).await?;
    Ok(Place { seq: end.record.seq, head: end.head })
}

async fn copy(db: &Client, events: &[&Chained]) -> Result<(), AuditError> {
    let sink = db.copy_in("COPY events (seq, at, kind, call_id, body, head) FROM STDIN BINARY").await?;
    let types = [Type::INT8, Type::INT8, Type::TEXT, Type::UUID, Type::TEXT, Type::BYTEA];
    let mut rows = pin!(BinaryCopyInWriter::new(sink, &types));
    for Chained { record, head } in events {
        let (kind, call) = (record.op.kind().map(|k| k.as_str()), record.op.call().map(|c| c.0));
        let body = std::str::from_utf8(record.json()).map_err(|e| AuditError::Unreadable(e.to_string()))?;
        let head = head.0.as_slice();
        rows.as_mut().write(&[&signed(record.seq), &record.at.0, &kind, &call, &body, &head]).await?;
    }
    rows.finish().await?;
    Ok(())
}

pub(super) async fn sink_place(db: &Client, name: &str, seq: Seq) -> Result<(), AuditError> {
    let sql = "INSERT INTO sink_places VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET seq = EXCLUDED.seq";
    db.execute(sql, &[&name, &signed(seq)]).await?;
    Ok(())
}

/// Entries that the journal no longer has, and these books never had, are said to be missing, never passed over.
async fn note_gap(db: &Client, place: Seq, seq: Seq) -> Result<(), AuditError> {
    if seq == place + 1 {
        return Ok(());
    }
    tracing::error!(from = place + 1, to = seq - 1, "the journal has entries that never reached the books");
    let sql = "INSERT INTO gaps VALUES ($1, $2, $3)
        ON CONFLICT (first) DO UPDATE SET last = EXCLUDED.last, noticed_at = EXCLUDED.noticed_at";
    db.execute(sql, &[&signed(place + 1), &signed(seq - 1), &Timestamp::now().0]).await?;
    Ok(())
}
