//! A partition of `events` for each month, made a month ahead. Where one cannot be made, its events go to `events_other`.

use std::collections::HashSet;

use tokio_postgres::Client;

use super::super::super::AuditError;
use crate::units::time::{Timestamp, Window};

/// More months than this in one batch are left to `events_other`: clocks that far apart are wrong.
const AT_ONCE: usize = 24;

/// The starts of those that need no more work.
#[derive(Default)]
pub(super) struct Months(HashSet<i64>);

impl Months {
    /// From the month of `first` to the one after that of `last`.
    pub(super) async fn ready(&mut self, db: &Client, first: Timestamp, last: Timestamp) -> Result<(), AuditError> {
        let ahead = Window::Month.end(last).unwrap_or(last);
        let mut start = Window::Month.start(first);
        for _ in 0..AT_ONCE {
            let Some(end) = Window::Month.end(start).filter(|_| start <= ahead) else { break };
            if !self.0.contains(&start.0) {
                make(db, start, end).await?;
                self.0.insert(start.0);
            }
            start = end;
        }
        Ok(())
    }
}

async fn make(db: &Client, start: Timestamp, end: Timestamp) -> Result<(), AuditError> {
    let day = start.to_string();
    let name = format!("events_{}_{}", day.get(..4).unwrap_or_default(), day.get(5..7).unwrap_or_default());
    let asked = "SELECT to_regclass($1) IS NOT NULL, EXISTS (SELECT FROM events_other WHERE at >= $2 AND at < $3)";
    let row = db.query_one(asked, &[&name, &start.0, &end.0]).await?;
    if row.try_get(0)? {
        return Ok(());
    }
    if row.try_get(1)? {
        tracing::warn!(month = %name, "events of this month are in `events_other` already, and the rest will follow them");
        return Ok(());
    }
    // Attached and not created in place: that lets questions to the other months go on.
    let (from, to) = (start.0, end.0);
    let sql = format!(
        "BEGIN; SET LOCAL lock_timeout = '5s'; CREATE TABLE {name} (LIKE events INCLUDING ALL);
        ALTER TABLE events ATTACH PARTITION {name} FOR VALUES FROM ({from}) TO ({to}); COMMIT"
    );
    Ok(db.batch_execute(&sql).await?)
}
