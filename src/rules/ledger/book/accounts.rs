//! The numbers: what each account has spent and holds in each window. Does not know limits, nor whose hold it is.

use serde::{Deserialize, Serialize};

use super::clock::Starts;
use super::export::Counted;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::entry::Posting;
use crate::units::table::Table;
use crate::units::time::{Timestamp, Window};

/// One account in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Cell {
    pub start: Timestamp,
    pub spent: u64,
    pub held: u64,
    /// Open holds with a posting here, also one of zero: while there are any, the cell stays.
    pub open: u32,
}

/// One account: its latest window, and earlier ones where holds are still open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Windows {
    window: Window,
    latest: Cell,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<Cell>,
}

impl Windows {
    fn get(&self, start: Timestamp) -> Option<&Cell> {
        if self.latest.start == start { Some(&self.latest) } else { self.earlier.iter().find(|c| c.start == start) }
    }

    fn get_mut(&mut self, start: Timestamp) -> Option<&mut Cell> {
        if self.latest.start == start {
            Some(&mut self.latest)
        } else {
            self.earlier.iter_mut().find(|c| c.start == start)
        }
    }

    /// A later window begins: the one before it is forgotten unless holds are open in it.
    fn begin(&mut self, start: Timestamp) {
        if start > self.latest.start {
            let before = std::mem::replace(&mut self.latest, Cell { start, ..Cell::default() });
            self.earlier.extend((before.open > 0).then_some(before));
        } else if self.get(start).is_none() {
            self.earlier.push(Cell { start, ..Cell::default() });
        }
    }
}

/// All accounts by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Accounts(Table<AccountName, Windows>);

impl Accounts {
    /// All zero if nobody used it yet.
    pub(super) fn get(&self, account: &AccountName, start: Timestamp) -> Cell {
        let cell = self.0.get(account).and_then(|w| w.get(start));
        cell.copied().unwrap_or(Cell { start, ..Cell::default() })
    }

    /// The same, with the name that is kept here.
    pub(super) fn shared(&self, account: &AccountName, start: Timestamp) -> (AccountName, Cell) {
        let kept = self.0.get_key_value(account);
        let cell = kept.and_then(|(_, w)| w.get(start)).copied().unwrap_or(Cell { start, ..Cell::default() });
        (kept.map_or(account, |(name, _)| name).clone(), cell)
    }

    /// `None` once the window is closed and forgotten: nobody asks for it any more.
    fn cell(&mut self, posting: &Posting) -> Option<&mut Cell> {
        self.0.get_mut(&posting.account)?.get_mut(posting.start)
    }

    /// Makes the account if need be, or lets its window begin.
    pub(super) fn begin(&mut self, account: &AccountName, window: Window, start: Timestamp) -> &mut Cell {
        let fresh = || Windows { window, latest: Cell { start, ..Cell::default() }, earlier: Vec::new() };
        let windows = self.0.entry(account.clone()).or_insert_with(fresh);
        windows.begin(start);
        let Windows { latest, earlier, .. } = windows;
        if latest.start == start {
            return latest;
        }
        match earlier.iter_mut().find(|c| c.start == start) {
            Some(cell) => cell,
            None => latest, // `begin` has just made it
        }
    }

    /// A hold takes `amount`.
    pub(super) fn hold(&mut self, posting: &Posting, amount: u64) {
        let cell = self.begin(&posting.account, posting.window, posting.start);
        cell.held = cell.held.saturating_add(amount);
        cell.open += 1;
    }

    /// The same, if the window is still known. Says whether it was.
    pub(super) fn hold_known(&mut self, posting: &Posting, amount: u64) -> bool {
        let Some(cell) = self.cell(posting) else { return false };
        cell.held = cell.held.saturating_add(amount);
        cell.open += 1;
        true
    }

    /// A hold of `held` ends with `charge`.
    pub(super) fn end(&mut self, posting: &Posting, held: u64, charge: u64) {
        let Some(windows) = self.0.get_mut(&posting.account) else { return };
        let Some(cell) = windows.get_mut(posting.start) else { return };
        debug_assert!(cell.held >= held && cell.open > 0, "{posting:?}: {cell:?} gives back {held}");
        cell.held = cell.held.saturating_sub(held);
        cell.spent = cell.spent.saturating_add(charge);
        cell.open = cell.open.saturating_sub(1);
        let over = cell.open == 0;
        if over && posting.start != windows.latest.start {
            windows.earlier.retain(|c| c.open > 0);
        }
    }

    /// An open hold changes from one amount to another.
    pub(super) fn resize(&mut self, posting: &Posting, from: u64, to: u64) {
        if let Some(cell) = self.cell(posting) {
            cell.held = cell.held.saturating_sub(from).saturating_add(to);
        }
    }

    /// A charge is replaced.
    pub(super) fn adjust(&mut self, posting: &Posting, from: u64, to: u64) {
        if let Some(cell) = self.cell(posting) {
            cell.spent = cell.spent.saturating_sub(from).saturating_add(to);
        }
    }

    /// Sets what the running windows of some accounts have spent to zero: the books are about to say it anew.
    pub(super) fn reset_spent(&mut self, which: impl Fn(&AccountName) -> bool) {
        for (_, windows) in self.0.iter_mut().filter(|(name, _)| which(name)) {
            windows.latest.spent = 0;
        }
    }

    /// Forgets accounts whose window is over and in which no hold is open.
    pub(super) fn sweep(&mut self, running: &Starts) {
        let runs = |w: &Windows| w.window.keeps_charges() && w.latest.start >= running.of(w.window);
        self.0.retain(|_, w| w.latest.open > 0 || !w.earlier.is_empty() || runs(w));
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = (&AccountName, &Cell)> {
        self.0.iter().flat_map(|(name, w)| std::iter::once(&w.latest).chain(&w.earlier).map(move |c| (name, c)))
    }

    /// Account by account, each with its latest window first.
    pub(super) fn windows(&self) -> impl Iterator<Item = Vec<Counted>> {
        self.0.iter().map(|(name, w)| {
            let cells = std::iter::once(&w.latest).chain(&w.earlier);
            cells
                .map(|c| Counted {
                    account: name.clone(),
                    window: w.window,
                    start: c.start,
                    spent: c.spent,
                    held: c.held,
                    open: c.open,
                })
                .collect()
        })
    }

    /// What exists of a posting's window.
    pub(super) fn known(&self, posting: &Posting) -> Option<&Cell> {
        self.0.get(&posting.account)?.get(posting.start)
    }
}
