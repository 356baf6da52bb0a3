//! What a new price list would change in the book, and the lines that change it. Refuses nothing; the command asks. Reads no
//! file and writes none.

mod whole;

use std::sync::Arc;

use serde::Serialize;

use self::whole::Both;
use super::book::{Mistake, PriceBook};
use super::import::{self, Listed};
use super::rates::Limits;
use super::raw::RawBook;
use super::row::Row;
use super::schedule::{STANDARD, Schedule, Scope, TierRates};
use super::tokens::Kind;
use super::write::rate;
use crate::units::time::Timestamp;

/// One price that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    pub vendor: String,
    pub model: String,
    /// Of a factor or a fee: its name.
    pub tier: String,
    pub above: u64,
    pub kind: &'static str,
    /// As price files write it; none if it is new.
    pub old: Option<String>,
    /// `gone` if the model has no such rate, factor or fee any more.
    pub new: String,
    /// The day from which it holds, if that is to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// More than twice, less than half, nothing at all, or gone: somebody should look.
    pub large: bool,
}

/// All of it.
#[derive(Debug, Default)]
pub struct Update {
    /// Whose list it is.
    pub form: &'static str,
    pub changes: Vec<Change>,
    /// JSON lines for the file of updates, a model in each.
    pub lines: Vec<String>,
}

/// Compares a file with the book as it is without the operator's own file.
pub fn update(book: &PriceBook, file: &str, text: &str, now: Timestamp) -> Result<Update, Vec<Mistake>> {
    let day = now.to_string();
    let Some((form, listed)) = import::read(text, day.get(..10).unwrap_or_default()) else {
        return own(book, file, text, now);
    };
    let mut update = Update { form, ..Update::default() };
    for listed in listed {
        for name in &listed.names {
            update.compare(book, &listed, name, now);
        }
    }
    Ok(update)
}

/// A file in our own form replaces rows whole.
fn own(book: &PriceBook, file: &str, text: &str, now: Timestamp) -> Result<Update, Vec<Mistake>> {
    let wrong = |(field, problem)| vec![Mistake { file: file.to_owned(), field, problem }];
    let raw = RawBook::read(text).map_err(wrong)?;
    let new = PriceBook::of(&[(file, text)])?;
    let mut update = Update { form: "bursar", ..Update::default() };
    for model in &raw.model {
        for name in &model.names {
            let Some(row) = new.find(&model.vendor, name) else { continue };
            let both = Both { vendor: &model.vendor, name, before: book.find(&model.vendor, name), row, now };
            update.replaced(&both, book.fees(&model.vendor));
        }
        if let Some(row) = model.names.first().and_then(|name| new.find(&model.vendor, name)) {
            let before = model.names.iter().find_map(|name| book.find(&model.vendor, name));
            let names: Vec<&str> = model.names.iter().map(String::as_str).collect();
            update.lines.push(told(row, before, file, now).to_json(&model.vendor, &names).to_string());
        }
    }
    Ok(update)
}

/// The row with what the file leaves unsaid: where it is from, and since when; and limits, which are no prices.
fn told(row: &Row, before: Option<&Arc<Row>>, file: &str, now: Timestamp) -> Row {
    let mut row = row.clone();
    if row.source.is_empty() {
        row.source = format!("prices update: {file}").into();
    }
    if row.checked.is_empty() {
        row.checked = now.to_string().get(..10).unwrap_or_default().into();
    }
    if let Some(before) = before.filter(|_| row.limits == Limits::default()) {
        row.limits = before.limits;
    }
    row
}

/// A bare name of Bedrock's runs in one region, which costs a tenth more than `global.`; lists that do not know it change nothing.
fn is_regional(name: &str, old: Option<u64>, new: u64) -> bool {
    !name.starts_with("global.") && old.is_some_and(|old| old.saturating_mul(10) == new.saturating_mul(11))
}

/// A zero says that the list has no such price, unless the book has one, or the model is given away.
fn is_hole(name: &str, old: Option<u64>, kind: Kind) -> bool {
    let given_away = name.ends_with(":free") && matches!(kind, Kind::Input | Kind::Output);
    old.is_none_or(|old| old == 0) && !given_away
}

/// The rate that stands in the row itself.
fn listed_rate(row: &Row, at: Timestamp, tier: &str, above: u64, kind: Kind) -> Option<u64> {
    let tiers = &row.schedules.get(row.schedule_at(at)?)?.tiers;
    let own = tiers.iter().find(|t| *t.tier == *tier && t.above == above)?;
    own.rates.iter().find(|(own, _)| *own == kind).map(|(_, pico)| *pico)
}

impl Update {
    fn compare(&mut self, book: &PriceBook, listed: &Listed, name: &str, now: Timestamp) {
        let before = book.find(listed.vendor, name);
        let from = listed.from.as_ref().and_then(|day| format!("{day}T00:00:00Z").parse().ok()).unwrap_or(now);
        let found = self.changes.len();
        let mut listed = listed.clone();
        listed.rates.retain(|(tier, above, kind, pico)| {
            let old = before.and_then(|row| listed_rate(row, from, tier, *above, *kind));
            let kept =
                listed.vendor == "bedrock" && is_regional(name, old, *pico) || *pico == 0 && is_hole(name, old, *kind);
            if !kept {
                self.put(listed.vendor, name, (tier, *above, *kind), old, *pico, listed.from.clone());
            }
            !kept
        });
        if self.changes.len() > found {
            let row = changed(before, &listed, from, now);
            self.lines.push(row.to_json(listed.vendor, &[name]).to_string());
        }
    }

    fn put(
        &mut self,
        vendor: &str,
        model: &str,
        place: (&str, u64, Kind),
        old: Option<u64>,
        new: u64,
        from: Option<String>,
    ) {
        if old == Some(new) {
            return;
        }
        let (tier, above, kind) = place;
        let large = new == 0 || old.is_some_and(|old| new > old.saturating_mul(2) || old > new.saturating_mul(2));
        let (vendor, model, tier) = (vendor.to_owned(), model.to_owned(), tier.to_owned());
        let (old, new) = (old.map(|old| rate(kind, old)), rate(kind, new));
        self.changes.push(Change { vendor, model, tier, above, kind: kind.name(), old, new, from, large });
    }
}

/// The row with a schedule more: what the list does not name stays as it was.
fn changed(before: Option<&Arc<Row>>, listed: &Listed, from: Timestamp, now: Timestamp) -> Row {
    let day = now.to_string();
    let mut row = before.map_or_else(|| empty(listed), |row| Row::clone(row));
    let base = row.schedule_at(from).and_then(|number| row.schedules.get(number));
    let mut tiers = base.map_or_else(Vec::new, |schedule| schedule.tiers.to_vec());
    for (tier, above, kind, pico) in &listed.rates {
        let place = match tiers.iter().position(|t| *t.tier == **tier && t.above == *above) {
            Some(place) => place,
            None => {
                let rates = Box::default();
                tiers.push(TierRates { tier: (*tier).into(), above: *above, scope: Scope::Whole, rates });
                tiers.len() - 1
            }
        };
        let mut rates: Vec<_> = tiers[place].rates.iter().copied().filter(|(own, _)| own != kind).collect();
        rates.push((*kind, *pico));
        rates.sort_unstable();
        tiers[place].rates = rates.into();
    }
    let first = before.is_none() && listed.from.is_none();
    let from = if first { Timestamp(i64::MIN) } else { from };
    if tiers.iter().any(|tier| *tier.tier == *STANDARD && tier.above == 0) {
        let mut schedules = row.schedules.to_vec();
        schedules.push(Schedule { from, until: None, hours: None, tiers: tiers.into() });
        // A price that starts later stands behind one that starts sooner.
        schedules.sort_by_key(|schedule| (schedule.hours.is_some(), schedule.from));
        row.schedules = schedules.into();
    }
    row.source = "prices update".into();
    row.checked = day.get(..10).unwrap_or_default().into();
    row
}

fn empty(listed: &Listed) -> Row {
    Row {
        id: listed.names.first().map_or("", String::as_str).into(),
        limits: Limits { context: listed.context, input: listed.input, output: listed.output },
        source: Box::default(),
        checked: Box::default(),
        schedules: Box::default(),
        multipliers: Vec::new(),
        fees: Vec::new(),
    }
}
