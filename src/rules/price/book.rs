//! The price book: every model of every vendor by its names, with the operator's file on top of the shipped one. Finds the
//! row of a model name as a request or an answer spells it. Reads no files: it is given their text.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::fx::Fx;
use super::raw::{Check, RawBook, RawModel};
use super::row::{Limits, Row, Schedule};
use crate::units::ids::Digest32;
use crate::units::money::PicoUsd;

const SHIPPED: [(&str, &str); 2] = [("book.toml", include_str!("book.toml")), ("fx.toml", include_str!("fx.toml"))];

/// What is wrong in a price file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub file: String,
    pub field: String,
    pub problem: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.file, self.field, self.problem)
    }
}

/// All prices. Cheap to share, never changed: an update makes a new one.
#[derive(Debug)]
pub struct PriceBook {
    shelves: HashMap<Box<str>, Shelf>,
    pub fx: Fx,
    hash: Digest32,
}

/// The models of one vendor.
#[derive(Debug, Default)]
struct Shelf {
    exact: HashMap<Box<str>, Arc<Row>>,
    /// Longest first.
    prefixes: Vec<(Box<str>, Arc<Row>)>,
    fees: Vec<(Box<str>, PicoUsd)>,
    dearest: Option<Arc<Row>>,
}

impl PriceBook {
    /// The shipped book, with the operator's own file (its name and text) on top.
    pub fn load(overrides: Option<(&str, &str)>) -> Result<Self, Vec<Mistake>> {
        Self::layered(overrides)
    }

    /// The same with several files, the last one above all.
    pub fn layered<'a>(overrides: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Vec<Mistake>> {
        let mut book = Self { shelves: HashMap::new(), fx: Fx::default(), hash: Digest32([0; 32]) };
        let (mut mistakes, mut hasher) = (Vec::new(), Sha256::new());
        for (file, text) in SHIPPED.into_iter().chain(overrides) {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
            book.add(file, text, &mut mistakes);
        }
        book.shelves.values_mut().for_each(Shelf::finish);
        book.hash = Digest32(hasher.finalize().into());
        if mistakes.is_empty() { Ok(book) } else { Err(mistakes) }
    }

    fn add(&mut self, file: &str, text: &str, mistakes: &mut Vec<Mistake>) {
        let mut check = Check { file, mistakes };
        let raw: RawBook = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(error) => return check.wrong("the file".to_owned(), error.to_string()),
        };
        for (i, shelf) in raw.vendor.iter().enumerate() {
            self.shelves.entry(shelf.name.as_str().into()).or_default().fees =
                check.fees(&format!("vendor[{i}]"), &shelf.fees);
        }
        for (i, model) in raw.model.iter().enumerate() {
            let shelf = self.shelves.entry(model.vendor.as_str().into()).or_default();
            let row = Arc::new(model.row(&format!("model[{i}]"), &raw.checked, &shelf.fees, &mut check));
            shelf.put(model, &row);
        }
        self.fx.add(&raw, &mut check);
    }

    /// The row of a model, however dated or aliased its name is.
    pub fn find(&self, vendor: &str, model: &str) -> Option<&Arc<Row>> {
        self.shelves.get(vendor)?.find(model)
    }

    /// A row that no model of the vendor is dearer than, for models that the book does not know.
    pub fn dearest(&self, vendor: &str) -> Option<&Arc<Row>> {
        self.shelves.get(vendor)?.dearest.as_ref()
    }

    /// Names this very book in the books.
    pub fn hash(&self) -> Digest32 {
        self.hash
    }
}

impl Shelf {
    /// A later file's name replaces an earlier one's.
    fn put(&mut self, model: &RawModel, row: &Arc<Row>) {
        self.exact.extend(model.names.iter().map(|name| (name.as_str().into(), row.clone())));
        self.prefixes.retain(|(old, _)| !model.prefixes.iter().any(|new| **new == **old));
        self.prefixes.extend(model.prefixes.iter().map(|prefix| (prefix.as_str().into(), row.clone())));
    }

    fn finish(&mut self) {
        self.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        let rows = self.exact.values().chain(self.prefixes.iter().map(|(_, row)| row));
        self.dearest = rows.map(|row| Row::clone(row)).reduce(dearer).map(Arc::new);
    }

    fn find(&self, model: &str) -> Option<&Arc<Row>> {
        if let Some(row) = self.exact.get(model) {
            return Some(row);
        }
        let base = fine_tuned_base(model);
        let spellings = [base, undated(base), undated(base).strip_suffix("-latest").unwrap_or(base)];
        let exact = spellings.into_iter().find_map(|name| self.exact.get(name));
        exact.or_else(|| self.prefixes.iter().find(|(prefix, _)| base.starts_with(&**prefix)).map(|(_, row)| row))
    }
}

/// `ft:gpt-4o-2024-08-06:org::id` is priced as `ft:gpt-4o-2024-08-06`.
fn fine_tuned_base(model: &str) -> &str {
    match model.strip_prefix("ft:").and_then(|rest| rest.find(':')) {
        Some(at) => &model[..at + "ft:".len()],
        None => model,
    }
}

/// Without `-2026-04-23`, `-20260423` or `@20260423` at the end.
fn undated(model: &str) -> &str {
    let bytes = model.as_bytes();
    let ends_as = |form: &[u8]| {
        let at = bytes.len().checked_sub(form.len()).filter(|at| *at > 0)?;
        let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
        bytes[at..].iter().zip(form).all(fits).then(|| &model[..at])
    };
    [b"-0000-00-00".as_slice(), b"-00000000", b"@00000000"].into_iter().find_map(ends_as).unwrap_or(model)
}

/// What is at least as dear as both, for a prompt of any length, in any tier, at any time.
fn dearer(a: Row, b: Row) -> Row {
    let limit = |a: Option<u64>, b: Option<u64>| a.max(b);
    let limits = Limits {
        context: limit(a.limits.context, b.limits.context),
        input: limit(a.limits.input, b.limits.input),
        output: limit(a.limits.output, b.limits.output),
    };
    let schedules = vec![dearest_schedule(a.schedules.iter().chain(&b.schedules))];
    Row {
        id: "the vendor's dearest".into(),
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
    let rates = all.flat_map(|s| &s.tiers).fold(super::Rates::default(), |max, tier| max.max(&tier.rates));
    let tiers =
        ["standard", "priority", "flex"].map(|tier| super::row::TierRates { tier: tier.into(), above: 0, rates });
    Schedule { from: crate::units::time::Timestamp(i64::MIN), until: None, tiers: tiers.into() }
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

#[cfg(test)]
impl PriceBook {
    pub(super) fn shelves_rows(&self, vendor: &str) -> impl Iterator<Item = &Arc<Row>> {
        self.shelves.get(vendor).into_iter().flat_map(|shelf| shelf.exact.values())
    }
}
