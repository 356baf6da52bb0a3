//! The price book: every model of every vendor by its names, with the operator's file on top of the shipped one. Finds the
//! row of a model name as a request or an answer spells it. Reads no files: it is given their text.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::check::Check;
use super::fx::Fx;
use super::raw::RawBook;
use super::row::Row;
use super::shelf::Shelf;
use crate::units::ids::Digest32;
use crate::units::table::Table;

/// The files that ship, in their order.
pub const SHIPPED: [(&str, &str); 2] =
    [("book.jsonl", include_str!("book.jsonl")), ("fx.toml", include_str!("fx.toml"))];

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
    shelves: Table<Box<str>, Shelf>,
    pub fx: Fx,
    hash: Digest32,
}

impl PriceBook {
    /// The shipped book, with the operator's own file (its name and text) on top.
    pub fn load(overrides: Option<(&str, &str)>) -> Result<Self, Vec<Mistake>> {
        let layers: Vec<_> = SHIPPED.into_iter().chain(overrides).collect();
        Self::of(&layers)
    }

    /// A book of these files (name and text), a later one on top of an earlier one.
    pub fn of(layers: &[(&str, &str)]) -> Result<Self, Vec<Mistake>> {
        let mut book = Self { shelves: Table::default(), fx: Fx::default(), hash: Digest32([0; 32]) };
        let (mut mistakes, mut hasher) = (Vec::new(), Sha256::new());
        for (file, text) in layers {
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
        let raw = match RawBook::read(text) {
            Ok(raw) => raw,
            Err((field, error)) => return check.wrong(field, error),
        };
        for (i, shelf) in raw.vendor.iter().enumerate() {
            self.shelves.entry(shelf.name.as_str().into()).or_default().fees =
                check.fees(&format!("vendor[{i}]"), &shelf.fees);
        }
        for (i, model) in raw.model.iter().enumerate() {
            let shelf = self.shelves.entry(model.vendor.as_str().into()).or_default();
            let row = Arc::new(model.row(&format!("model[{i}]"), &raw.checked, &shelf.fees, &mut check));
            shelf.put(&format!("model[{i}]"), model, &row, &mut check);
        }
        self.add_aliases(&raw, &mut check);
        self.fx.add(&raw, &mut check);
    }

    fn add_aliases(&mut self, raw: &RawBook, check: &mut Check<'_>) {
        for (vendor, names) in &raw.alias {
            for (name, model) in names {
                let shelf = self.shelves.entry(vendor.as_str().into()).or_default();
                if shelf.find(model).is_none() {
                    check
                        .wrong(format!("alias.{vendor}.{name}"), format!("no model `{model}` of {vendor} has a price"));
                }
                shelf.aliases.insert(name.to_lowercase().into(), model.as_str().into());
            }
        }
    }

    pub(super) fn shelf(&self, vendor: &str) -> Option<&Shelf> {
        self.shelves.get(vendor)
    }

    /// The row of a model, however dated or aliased its name is.
    pub fn find(&self, vendor: &str, model: &str) -> Option<&Arc<Row>> {
        self.shelves.get(vendor)?.find(model)
    }

    /// The model behind a name of the operator's, or the name itself.
    pub fn meant<'m>(&'m self, vendor: &str, model: &'m str) -> Cow<'m, str> {
        self.shelves.get(vendor).map_or(Cow::Borrowed(model), |shelf| shelf.own_name(model))
    }

    /// A row that no model of the vendor is dearer than, for models that the book does not know.
    pub fn dearest(&self, vendor: &str) -> Option<&Arc<Row>> {
        self.shelves.get(vendor)?.dearest()
    }

    /// What tools cost with all of the vendor's models that name no fee of their own.
    pub(super) fn fees(&self, vendor: &str) -> &[(Box<str>, crate::units::money::PicoUsd)] {
        self.shelves.get(vendor).map_or(&[], |shelf| &shelf.fees)
    }

    /// The vendors whose models it lists, in the order of their names.
    pub fn vendors(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.shelves.keys().map(|name| &**name).collect();
        names.sort_unstable();
        names
    }

    /// Names this very book in the books.
    pub fn hash(&self) -> Digest32 {
        self.hash
    }
}

#[cfg(test)]
impl PriceBook {
    pub(super) fn shelves_rows(&self, vendor: &str) -> impl Iterator<Item = &Arc<Row>> {
        self.shelves.get(vendor).into_iter().flat_map(Shelf::rows)
    }
}
