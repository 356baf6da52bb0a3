//! Many rows by one statement: to begin one, and to open the table with its indexes, costs as much as a row. Knows no table.

use rusqlite::{Statement, Transaction};

use super::super::super::AuditError;

/// Rows that one statement writes.
const TOGETHER: usize = 32;

/// An insert of any number of rows.
pub(super) struct Insert {
    /// Up to `VALUES`.
    pub before: &'static str,
    /// Of one row: `(?,?)`.
    pub values: &'static str,
    pub columns: usize,
    /// What follows the rows.
    pub after: &'static str,
}

impl Insert {
    /// `bind` gives one row to the statement, from this parameter on. A failed batch is rolled back as a whole, so no
    /// statement need be undone by itself.
    pub(super) fn all<T>(
        &self,
        tx: &Transaction<'_>,
        rows: &[T],
        bind: impl Fn(&T, &mut Statement<'_>, usize) -> rusqlite::Result<()>,
    ) -> Result<(), AuditError> {
        let mut left = rows;
        while !left.is_empty() {
            // By powers of two, so that there are few statements.
            let (now, later) = left.split_at(TOGETHER.min(1 << left.len().ilog2()));
            let mut insert = tx.prepare_cached(&self.sql(now.len()))?;
            for (row, first) in now.iter().zip((1..).step_by(self.columns)) {
                bind(row, &mut insert, first)?;
            }
            insert.raw_execute()?;
            left = later;
        }
        Ok(())
    }

    fn sql(&self, rows: usize) -> String {
        let Self { before, values, after, .. } = self;
        format!("{before} {} {after}", [*values; TOGETHER][..rows].join(","))
    }
}
