//! The book beside the books: what each account of a shape has spent, as both say it.

use std::collections::BTreeMap;

use super::{Book, Sums};
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::ask::{Checked, Difference};
use crate::rules::ledger::entry::Op;
use crate::units::ids::CallId;
use crate::units::time::Timestamp;

impl Book {
    /// Compares the accounts of one shape in its running window. What the books have not seen yet is added from memory;
    /// `None` if some of that is forgotten already, so that the books must be asked anew.
    pub fn check(&self, at: Timestamp, shape: &Shape, sums: Sums, found: &mut Checked) -> Option<()> {
        let start = self.starts(at).of(shape.window);
        let Some(Op::Declare { opening, .. }) = self.declare(at, shape.clone(), sums) else { return None };
        let mut both: BTreeMap<AccountName, (u64, u64)> =
            opening.into_iter().map(|(account, _, books)| (account, (0, books))).collect();
        for (account, cell) in self.accounts.cells().filter(|(name, c)| c.start == start && shape.owns(name)) {
            both.entry(account.clone()).or_default().0 = cell.spent;
        }
        found.accounts += both.len() as u64;
        let (unit, window) = (shape.unit, shape.window);
        let differ = both.into_iter().filter(|(_, (ledger, books))| ledger != books);
        found.differences.extend(differ.map(|(account, (ledger, books))| Difference {
            account,
            unit,
            window,
            window_start: start,
            ledger,
            books,
        }));
        Some(())
    }

    /// Ended calls that are remembered and stand on one of these accounts; at most so many.
    pub fn remembered_on(&self, found: &mut Checked, most: usize) {
        let on = |account: &AccountName| found.differences.iter().any(|d| d.account == *account);
        let ended = self.ended.iter().filter(|(_, e)| e.postings.iter().any(|p| on(&p.account)));
        let mut calls: Vec<(CallId, _)> = ended.map(|(id, e)| (*id, e.charge)).take(most).collect();
        calls.sort_by_key(|(id, _)| *id);
        found.remembered = calls;
    }
}
