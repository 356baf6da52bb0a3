//! The models of one vendor, by every way to name them: exact names first, then endings, beginnings and patterns, the longest
//! first. Knows no other vendor; `book` has all shelves.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};

use super::check::{Check, Fees};
use super::names::{look, placed};
use super::rates::{Limits, Rates};
use super::raw::RawModel;
use super::row::Row;
use super::schedule::{STANDARD, Schedule, Scope, TierRates};
use super::tokens::Kind;
use crate::units::table::Table;
use crate::units::time::Timestamp;

/// The id of a row that stands for whatever the vendor has.
pub(super) const DEAREST: &str = "the vendor's dearest";
/// No pattern needs more room, compiled.
const PATTERN_SIZE: usize = 1 << 16;

type Parts = Vec<(Box<str>, Arc<Row>)>;

#[derive(Debug, Default)]
pub(super) struct Shelf {
    exact: Table<Box<str>, Arc<Row>>,
    suffixes: Parts,
    prefixes: Parts,
    patterns: Vec<(Regex, Arc<Row>)>,
    /// The operator's own names, and the models behind them.
    pub aliases: Table<Box<str>, Box<str>>,
    pub fees: Fees,
    /// Made when it is first asked for.
    dearest: OnceLock<Option<Arc<Row>>>,
}

impl Shelf {
    /// A later file's name replaces an earlier one's.
    pub fn put(&mut self, at: &str, model: &RawModel, row: &Arc<Row>, check: &mut Check<'_>) {
        self.exact.extend(model.names.iter().map(|name| (name.to_lowercase().into(), row.clone())));
        put_parts(&mut self.suffixes, &model.suffixes, row);
        put_parts(&mut self.prefixes, &model.prefixes, row);
        for (i, pattern) in model.patterns.iter().enumerate() {
            match compiled(pattern) {
                // The last one counts.
                Ok(pattern) => self.patterns.insert(0, (pattern, row.clone())),
                Err(error) => check.wrong(format!("{at}.patterns[{i}]"), error.to_string()),
            }
        }
    }

    pub fn finish(&mut self) {
        for parts in [&mut self.suffixes, &mut self.prefixes] {
            parts.sort_by_key(|(part, _)| std::cmp::Reverse(part.len()));
        }
    }

    pub fn dearest(&self) -> Option<&Arc<Row>> {
        let made = || self.rows().map(|row| Row::clone(row)).reduce(dearer).map(Arc::new);
        self.dearest.get_or_init(made).as_ref()
    }

    pub(super) fn by_name(&self) -> impl Iterator<Item = (&str, &Row)> {
        self.exact.iter().map(|(name, row)| (&**name, &**row))
    }

    /// Every row, some of them more than once.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        let parts = self.suffixes.iter().chain(&self.prefixes).map(|(_, row)| row);
        self.exact.values().chain(parts).chain(self.patterns.iter().map(|(_, row)| row))
    }

    /// The model behind a name of the operator's, in whatever region.
    pub fn own_name<'m>(&'m self, model: &'m str) -> Cow<'m, str> {
        if self.aliases.is_empty() {
            return Cow::Borrowed(model);
        }
        let alias = |name: &str| self.aliases.get(&*name.to_lowercase());
        let there = || placed(model).and_then(|(place, name)| Some(format!("{place}/{}", alias(name)?).into()));
        alias(model).map(|own| Cow::Borrowed(&**own)).or_else(there).unwrap_or(Cow::Borrowed(model))
    }

    pub fn find(&self, model: &str) -> Option<&Arc<Row>> {
        let model = self.own_name(model);
        if let Some(row) = self.exact.get(&*model) {
            return Some(row);
        }
        let spellings = match look(&model, |name| self.exact.get(name)) {
            ControlFlow::Break(row) => return Some(row),
            ControlFlow::Continue(spellings) => spellings,
        };
        let each = || spellings.iter();
        let suffix = || each().find_map(|name| self.suffixes.iter().find(|(part, _)| name.ends_with(&**part)));
        let prefix = || each().find_map(|name| self.prefixes.iter().find(|(part, _)| name.starts_with(&**part)));
        let pattern = || each().find_map(|name| self.patterns.iter().find(|(pattern, _)| pattern.is_match(name)));
        suffix().map(|(_, row)| row).or_else(|| prefix().map(|(_, row)| row)).or_else(|| pattern().map(|(_, row)| row))
    }
}

fn put_parts(parts: &mut Parts, new: &[String], row: &Arc<Row>) {
    let new: Vec<Box<str>> = new.iter().map(|part| part.to_lowercase().into()).collect();
    parts.retain(|(old, _)| !new.contains(old));
    parts.extend(new.into_iter().map(|part| (part, row.clone())));
}

/// For the whole name; what a small pattern costs is bounded.
fn compiled(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE).build()
}

/// What is at least as dear as both, for a prompt of any length, in any tier, at any time.
fn dearer(a: Row, b: Row) -> Row {
    let limit = |a: Option<u64>, b: Option<u64>| a.max(b);
    let limits = Limits {
        context: limit(a.limits.context, b.limits.context),
        input: limit(a.limits.input, b.limits.input),
        output: limit(a.limits.output, b.limits.output),
    };
    let schedules = [dearest_schedule(a.schedules.iter().chain(&b.schedules))].into();
    Row {
        id: DEAREST.into(),
        limits,
        source: "the dearest rate of each kind".into(),
        checked: a.checked,
        schedules,
        multipliers: larger(a.multipliers, b.multipliers),
        fees: larger(a.fees, b.fees),
    }
}

/// One standard tier with the dearest of every rate.
fn dearest_schedule<'a>(all: impl Iterator<Item = &'a Schedule>) -> Schedule {
    let rates = all.flat_map(|s| &s.tiers).fold(Rates::default(), |max, tier| max.max(&Rates::of(&tier.rates)));
    let rates: Box<[(Kind, u64)]> =
        rates.listed().map(|(kind, rate)| (kind, u64::try_from(rate.0).unwrap_or(u64::MAX))).collect();
    let tier = |tier: &str| TierRates { tier: tier.into(), above: 0, scope: Scope::Whole, rates: rates.clone() };
    let tiers = [STANDARD, "priority", "flex"].map(tier);
    Schedule { from: Timestamp(i64::MIN), until: None, hours: None, tiers: tiers.into() }
}

/// Both lists, and for a name in both the larger value.
fn larger<T: Ord + Copy>(mut a: Vec<(Box<str>, T)>, b: Vec<(Box<str>, T)>) -> Vec<(Box<str>, T)> {
    for (name, value) in b {
        match a.iter_mut().find(|(own, _)| *own == name) {
            Some((_, own)) => *own = value.max(*own),
            None => a.push((name, value)),
        }
    }
    a
}
