//! Values that stand in a file of their own, one a line: customers, recipients, domains. Found at once, however many there are.
//! Reads no file; the store of policies does, and reads it again when it changes.

use std::collections::HashSet;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::rules::args::Decimal;
use crate::rules::subject::Name;
use crate::units::ids::Digest32;

/// A named list.
pub struct List {
    pub name: Name,
    /// Of the file's bytes.
    pub hash: Digest32,
    exact: HashSet<Box<str>>,
    /// In small letters.
    folded: HashSet<String>,
    numbers: HashSet<Decimal>,
}

/// By what tells it from another, not by all that it holds.
impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").field("name", &self.name).field("hash", &self.hash).finish()
    }
}

impl List {
    /// One value a line, without blanks around it; `#` begins a line that is none.
    pub fn parse(name: &str, text: &str) -> Self {
        let values = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self {
            name: name.into(),
            hash: Digest32(Sha256::digest(text).into()),
            exact: values().map(Into::into).collect(),
            folded: values().map(str::to_ascii_lowercase).collect(),
            numbers: values().filter_map(Decimal::parse).collect(),
        }
    }

    /// To allow: the very text.
    pub fn has(&self, text: &str) -> bool {
        self.exact.contains(text)
    }

    /// To deny: also in another letter case, with blanks around it, or as another spelling of a number.
    pub fn has_alike(&self, text: &str) -> bool {
        let text = text.trim();
        self.folded.contains(&text.to_ascii_lowercase())
            || Decimal::parse(text).is_some_and(|n| self.numbers.contains(&n))
    }

    pub fn is_within(&self, other: &Self) -> bool {
        self.exact.is_subset(&other.exact)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the list `{}`", self.name)
    }
}
