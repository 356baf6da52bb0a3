//! What must be true of a book after every step. Tests call it after each; a release build never does.

use std::collections::HashMap;

use super::Book;
use super::reserve::part;
use crate::rules::ledger::account::AccountName;
use crate::units::time::Timestamp;

impl Book {
    /// # Errors
    /// The first invariant that does not hold, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        self.check_held()?;
        self.check_ends()?;
        self.check_sharing()
    }

    /// `held` of every account is the sum of the open holds on it, and no more windows are kept than are needed.
    fn check_held(&self) -> Result<(), String> {
        let mut sums: HashMap<(&AccountName, Timestamp), (u64, u32)> = HashMap::new();
        for open in self.open.values() {
            for posting in open.postings.iter() {
                let sum = sums.entry((&posting.account, posting.start)).or_default();
                *sum = (sum.0 + part(posting, &open.amounts), sum.1 + 1);
                self.accounts.known(posting).ok_or_else(|| format!("{posting:?} has no account"))?;
            }
        }
        for (name, cell) in self.accounts.cells() {
            let sum = sums.get(&(name, cell.start)).copied().unwrap_or_default();
            if sum != (cell.held, cell.open) {
                return Err(format!("{name}: open holds add up to {sum:?}, not {cell:?}"));
            }
        }
        Ok(())
    }

    /// A hold is open or ended, never both, and every ended one will be forgotten.
    fn check_ends(&self) -> Result<(), String> {
        if let Some(id) = self.open.keys().find(|id| self.ended.contains_key(id)) {
            return Err(format!("{id} is open and ended"));
        }
        let queued: std::collections::HashSet<_> = self.soon.iter().chain(&self.later).map(|(_, id)| id).collect();
        self.ended
            .keys()
            .find(|id| !queued.contains(id))
            .map_or(Ok(()), |id| Err(format!("{id} would never be forgotten")))
    }

    /// Repeats and their first call know each other, and a repeat holds no money.
    fn check_sharing(&self) -> Result<(), String> {
        for (id, open) in &self.open {
            let Some(first) = open.first() else { continue };
            let of = self.open.get(&first).map(|o| &o.sharing).or_else(|| self.ended.get(&first).map(|e| &e.sharing));
            let known = of.and_then(|s| s.as_ref()).is_some_and(|s| s.first.is_none() && s.repeats.contains(id));
            if !known || open.amounts.usd.0 + open.amounts.tokens > 0 {
                return Err(format!("{id} repeats {first}, which does not know it, or holds money"));
            }
        }
        let key_ok = |id| self.open.contains_key(id) || self.ended.get(id).is_some_and(|e| !e.exact);
        self.replays.values().find(|id| !key_ok(id)).map_or(Ok(()), |id| Err(format!("a replay key still names {id}")))
    }
}
