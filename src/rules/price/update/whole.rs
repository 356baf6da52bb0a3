//! What changes where a row is replaced whole, as our own form does: rates of now, of certain hours and of days to come, factors,
//! and fees. What the new row leaves out is a change as well. Writes no lines; `update` does.

use std::sync::Arc;

use super::super::row::Row;
use super::super::schedule::{Schedule, TierRates};
use super::super::tokens::Kind;
use super::super::write::{decimal, instant, rate};
use super::{Change, Update};
use crate::units::money::PicoUsd;
use crate::units::time::Timestamp;

/// A model's row, and the one that it had.
pub(super) struct Both<'a> {
    pub vendor: &'a str,
    pub name: &'a str,
    pub before: Option<&'a Arc<Row>>,
    pub row: &'a Row,
    pub now: Timestamp,
}

/// A factor or a fee by its name: as price files write it, and as a number.
type Named = (Box<str>, String, u128);

impl Both<'_> {
    /// Schedules that hold now or later, and from when on.
    fn open<'r>(&self, row: &'r Row) -> Vec<(Timestamp, &'r Schedule)> {
        let now = row.schedules.iter().rposition(|s| s.hours.is_none() && spans(s, self.now));
        let open = |(number, s): &(usize, &Schedule)| {
            let hours = s.hours.is_some() && s.until.is_none_or(|until| until > self.now);
            s.from > self.now || hours || Some(*number) == now
        };
        let all = row.schedules.iter().enumerate().filter(open);
        all.map(|(_, schedule)| (schedule.from.max(self.now), schedule)).collect()
    }

    fn change(&self, tier: &str, above: u64, kind: &'static str, old: Option<String>, new: String) -> Change {
        let (vendor, model, tier) = (self.vendor.to_owned(), self.name.to_owned(), tier.to_owned());
        Change { vendor, model, tier, above, kind, old, new, from: None, large: true }
    }

    /// The day on which it begins, if that is to come.
    fn day(&self, at: Timestamp) -> Option<String> {
        (at > self.now).then(|| instant(at))
    }
}

/// Does it hold then, at some hour?
fn spans(schedule: &Schedule, at: Timestamp) -> bool {
    schedule.from <= at && schedule.until.is_none_or(|until| at < until)
}

/// The schedule of the same hours at that time.
fn same<'r>(row: &'r Row, at: Timestamp, schedule: &Schedule) -> Option<&'r Schedule> {
    row.schedules.iter().rev().find(|own| own.hours == schedule.hours && spans(own, at))
}

fn rate_of(schedule: &Schedule, tier: &TierRates, kind: Kind) -> Option<u64> {
    let own = schedule.tiers.iter().find(|own| own.tier == tier.tier && own.above == tier.above)?;
    own.rates.iter().find(|(own, _)| *own == kind).map(|(_, pico)| *pico)
}

fn rates(schedule: &Schedule) -> impl Iterator<Item = (&TierRates, Kind, u64)> {
    schedule.tiers.iter().flat_map(|tier| tier.rates.iter().map(move |(kind, pico)| (tier, *kind, *pico)))
}

impl Update {
    /// All that changes; `shelf` are the fees of those that name none of their own.
    pub(super) fn replaced(&mut self, both: &Both<'_>, shelf: &[(Box<str>, PicoUsd)]) {
        for (at, schedule) in both.open(both.row) {
            let old = both.before.and_then(|before| same(before, at, schedule).or_else(|| base(before, at)));
            for (tier, kind, pico) in rates(schedule) {
                let old = old.and_then(|old| rate_of(old, tier, kind));
                self.put(both.vendor, both.name, (&tier.tier, tier.above, kind), old, pico, both.day(at));
            }
        }
        let Some(before) = both.before else { return };
        for (at, schedule) in both.open(before) {
            // What was to begin on a day begins on it no more if none does.
            let new = same(both.row, at, schedule).filter(|new| at == both.now || new.from == at);
            for (tier, kind, pico) in rates(schedule) {
                if new.is_none_or(|new| rate_of(new, tier, kind).is_none()) {
                    let gone = both.change(&tier.tier, tier.above, kind.name(), Some(rate(kind, pico)), gone());
                    self.changes.push(Change { from: both.day(at), ..gone });
                }
            }
        }
        let factors = |row: &Row| row.multipliers.iter().map(|(name, n)| factor(name, *n)).collect();
        self.named(both, "multiplier", factors(before), factors(both.row));
        let others = shelf.iter().filter(|(name, _)| both.row.fee(name).is_none());
        let fees = both.row.fees.iter().chain(others).map(|(name, usd)| fee(name, *usd)).collect();
        self.named(both, "fee", before.fees.iter().map(|(name, usd)| fee(name, *usd)).collect(), fees);
    }

    fn named(&mut self, both: &Both<'_>, kind: &'static str, before: Vec<Named>, after: Vec<Named>) {
        for (name, text, n) in &before {
            let new = after.iter().find(|(own, ..)| own == name);
            if new.is_none_or(|(_, _, new)| new != n) {
                let large = new.is_none_or(|(_, _, new)| *new == 0 || *new > 2 * n || *n > 2 * new);
                let told = new.map_or_else(gone, |(_, text, _)| text.clone());
                self.changes.push(Change { large, ..both.change(name, 0, kind, Some(text.clone()), told) });
            }
        }
        for (name, text, n) in after.iter().filter(|(name, ..)| before.iter().all(|(own, ..)| own != name)) {
            self.changes.push(Change { large: *n == 0, ..both.change(name, 0, kind, None, text.clone()) });
        }
    }
}

/// What holds at all other hours.
fn base(row: &Row, at: Timestamp) -> Option<&Schedule> {
    row.schedules.iter().rev().find(|own| own.hours.is_none() && spans(own, at))
}

fn gone() -> String {
    "gone".to_owned()
}

fn factor(name: &str, thousandths: u32) -> Named {
    (name.into(), decimal(thousandths.into(), 3), thousandths.into())
}

fn fee(name: &str, usd: PicoUsd) -> Named {
    (name.into(), decimal(usd.0, 12), usd.0)
}
