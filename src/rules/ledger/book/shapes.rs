//! Shapes: which accounts every call counts on. One that is new in a running window starts at what the books say was spent,
//! plus what they have not seen yet, plus what open holds hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Book;
use super::reserve::part;
use crate::rules::ledger::account::{AccountName, Shape};
use crate::rules::ledger::entry::{Op, Posting};
use crate::rules::subject::Facts;
use crate::units::amount::Unit;
use crate::units::ids::Seq;
use crate::units::time::Timestamp;

/// What the books say of a shape, from the entries up to `upto`: the charges by account and window start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub upto: Seq,
    pub spent: Vec<(AccountName, Timestamp, u64)>,
}

impl Book {
    /// The shapes of `wanted` that are not declared yet, and the declared ones that are not wanted.
    pub fn undeclared(&self, wanted: &[Shape]) -> (Vec<Shape>, Vec<Shape>) {
        let mut new: Vec<Shape> = wanted.iter().filter(|s| !self.shapes.contains(s)).cloned().collect();
        new.sort();
        new.dedup();
        (new, self.shapes.iter().filter(|s| !wanted.contains(s)).cloned().collect())
    }

    /// A new shape. What ended after `sums.upto` is added from memory; `None` if some of that is forgotten already, so
    /// that the books must be asked anew.
    pub fn declare(&self, at: Timestamp, shape: Shape, sums: Sums) -> Option<Op> {
        if sums.upto < self.forgotten {
            return None;
        }
        let start = self.starts(at).of(shape.window);
        if !shape.window.keeps_charges() {
            return Some(Op::Declare { shape, opening: Vec::new() });
        }
        let running = sums.spent.into_iter().filter(|(_, s, _)| *s == start);
        let mut spent: BTreeMap<AccountName, u64> = BTreeMap::new();
        for (account, _, sum) in running {
            *spent.entry(account).or_default() += sum;
        }
        self.add_unseen(&shape, start, sums.upto, &mut spent);
        let opening = spent.into_iter().map(|(account, sum)| (account, start, sum)).collect();
        Some(Op::Declare { shape, opening })
    }

    /// No policy declares it any more. Its accounts stay, as keys with budgets of their own may count on them; should it
    /// be declared again, the books say anew what was spent.
    pub fn undeclare(&self, shape: Shape) -> Op {
        Op::Undeclare { shape }
    }

    fn add_unseen(&self, shape: &Shape, start: Timestamp, upto: Seq, spent: &mut BTreeMap<AccountName, u64>) {
        for ended in self.ended.values().filter(|e| shape.window.start(e.taken) == start) {
            let (before, now) = (ended.charge_at(upto).of(shape.unit), ended.charge.of(shape.unit));
            let Some(facts) = ended.facts.as_ref().filter(|_| before != now) else { continue };
            for account in shape.accounts(facts) {
                let sum = spent.entry(account).or_default();
                *sum = sum.saturating_add(now).saturating_sub(before);
            }
        }
    }

    pub(super) fn declared(&mut self, shape: &Shape, opening: &[(AccountName, Timestamp, u64)]) {
        let start = self.starts(self.now()).of(shape.window);
        self.accounts.reset_spent(|name| shape.owns(name));
        for (account, start, sum) in opening {
            self.accounts.begin(account, shape.window, *start).spent = *sum;
        }
        for open in self.open.values_mut() {
            let repeat = open.sharing.as_ref().is_some_and(|s| s.first.is_some());
            if repeat && matches!(shape.unit, Unit::Usd | Unit::Tokens) {
                continue;
            }
            let more = missing(shape, start, open.taken, open.facts.as_deref(), &open.postings);
            more.iter().for_each(|p| self.accounts.hold(p, part(p, &open.amounts)));
            extend(&mut open.postings, more);
        }
        for ended in self.ended.values_mut() {
            let more = missing(shape, start, ended.taken, ended.facts.as_deref(), &ended.postings);
            for p in &more {
                self.accounts.begin(&p.account, p.window, p.start);
            }
            extend(&mut ended.postings, more);
        }
        self.shapes.retain(|s| s != shape);
        self.shapes.push(shape.clone());
    }
}

/// Postings of a hold on a shape that was not there when it was taken. Inherited money may stand in an earlier window of
/// the same account; the books count it by the heir's own time, so here it counts in both.
pub(super) fn missing(
    shape: &Shape,
    start: Timestamp,
    taken: Timestamp,
    facts: Option<&Facts>,
    has: &[Posting],
) -> Vec<Posting> {
    let in_window = shape.window.start(taken) == start;
    let accounts = facts.filter(|_| in_window).map(|f| shape.accounts(f)).unwrap_or_default();
    let new = accounts.into_iter().filter(|a| has.iter().all(|p| p.start != start || p.account != *a));
    new.map(|account| Posting { account, unit: shape.unit, window: shape.window, start }).collect()
}

fn extend(postings: &mut Arc<[Posting]>, more: Vec<Posting>) {
    if !more.is_empty() {
        *postings = postings.iter().cloned().chain(more).collect();
    }
}
