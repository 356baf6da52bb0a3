//! Does a need fit its accounts, and how much of a fitted one? Reads the book; decides about limits alone.

use super::Book;
use super::accounts::Cell;
use super::clock::Starts;
use crate::rules::ledger::account::AccountName;
use crate::rules::ledger::ask::{Cause, Left, Limit, Line, Short};
use crate::rules::ledger::need::Need;
use crate::units::amount::{Amounts, Unit};
use crate::units::time::Timestamp;

/// A line and what its account says now.
pub(super) struct View<'a> {
    pub line: &'a Line,
    /// The name as the book has it, so that all holds on an account share one.
    pub account: AccountName,
    pub cell: Cell,
}

/// What the limits say of a need.
pub(super) struct Judgement {
    /// The output limit that all enforced limits admit; what was wanted if there is none.
    pub granted: u64,
    /// The same with the limits that only observe.
    pub would_grant: u64,
    pub short: Option<Short>,
    pub would_refuse: Option<Short>,
}

impl Book {
    pub(super) fn views<'a>(&self, lines: &'a [Line], starts: &Starts) -> Vec<View<'a>> {
        let view = |line: &'a Line| {
            let (account, cell) = self.accounts.shared(&line.account, starts.of(line.window));
            View { line, account, cell }
        };
        lines.iter().map(view).collect()
    }
}

/// Looks at every limit, so that a refusal names an account where waiting cannot help, if there is one.
pub(super) fn judge(views: &[View<'_>], need: &Need, at: Timestamp) -> Judgement {
    let want = need.fit.as_ref().map_or(0, |f| f.want);
    let least = need.least();
    let mut found = Judgement { granted: want, would_grant: want, short: None, would_refuse: None };
    for view in views {
        let Some(limit) = &view.line.limit else { continue };
        match (room(view, limit, need, &least), limit.enforce) {
            (Some(n), true) => (found.granted, found.would_grant) = (found.granted.min(n), found.would_grant.min(n)),
            (Some(n), false) => found.would_grant = found.would_grant.min(n),
            (None, true) => prefer(&mut found.short, view, limit, &least, at),
            (None, false) => prefer(&mut found.would_refuse, view, limit, &least, at),
        }
    }
    found
}

/// The output limit that this account admits (all that is wanted, unless fitted); `None` if the least does not fit.
fn room(view: &View<'_>, limit: &Limit, need: &Need, least: &Amounts) -> Option<u64> {
    let unit = view.line.unit;
    let (least, left) = (least.of(unit), left(&view.cell, limit.amount));
    // What asks nothing of an account is not refused by it, even when an overrun went past its limit.
    if least > left {
        return None;
    }
    let Some(fit) = &need.fit else { return Some(0) };
    let room = least.max(fit.share.of(left)).min(left);
    let floor = fit.floor.min(fit.want);
    need.largest(unit, room).map(|n| n.max(floor))
}

fn left(cell: &Cell, limit: u64) -> u64 {
    limit.saturating_sub(cell.spent).saturating_sub(cell.held)
}

/// Keeps the first refusal, unless a later one is `Spent` and the first is not.
fn prefer(kept: &mut Option<Short>, view: &View<'_>, limit: &Limit, least: &Amounts, at: Timestamp) {
    let need = least.of(view.line.unit);
    let cause = cause(view.cell.spent, need, limit.amount);
    if kept.as_ref().is_none_or(|k| k.cause == Cause::Held && cause == Cause::Spent) {
        *kept = Some(short(view.line, limit, &view.cell, need, at));
    }
}

fn cause(spent: u64, need: u64, limit: u64) -> Cause {
    if spent.saturating_add(need) > limit { Cause::Spent } else { Cause::Held }
}

pub(super) fn short(line: &Line, limit: &Limit, cell: &Cell, need: u64, at: Timestamp) -> Short {
    Short {
        account: line.account.clone(),
        unit: line.unit,
        window: line.window,
        limit: limit.clone(),
        spent: cell.spent,
        held: cell.held,
        need,
        resets_at: line.window.end(at),
        cause: cause(cell.spent, need, limit.amount),
    }
}

/// The limited USD account with the least left once `more` is held on it.
pub(super) fn tightest(views: &[View<'_>], more: u64) -> Option<Left> {
    let limited = |v: &View<'_>| {
        let limit = v.line.limit.as_ref().filter(|_| v.line.unit == Unit::Usd)?;
        Some((left(&v.cell, limit.amount.saturating_sub(more)), limit.amount, limit.hidden))
    };
    let with_limit = views.iter().filter_map(|v| limited(v).map(|l| (v, l)));
    let (view, (_, limit, hidden)) = with_limit.min_by_key(|(_, (left, ..))| *left)?;
    let held = view.cell.held.saturating_add(more);
    Some(Left { account: view.line.account.clone(), limit, spent: view.cell.spent, held, hidden })
}
