//! A TOML file as a tree in which every value knows its place. It reads field by field and notes each mistake instead of
//! stopping at the first: wrong types, unknown keys, bad texts. What the fields mean is for `checked` and `policy_file`.

mod near;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, Deserializer, ValueDeserializer};

use super::mistake::{Mistake, Mistakes};
use crate::units::duration;
use crate::units::time::Timestamp;

/// One file under reading, and the mistakes found so far.
pub struct Doc<'t> {
    file: &'t str,
    text: &'t str,
    found: RefCell<Vec<Mistake>>,
    /// Unknown keys inside tables; some of them belong to the top of the file.
    strays: RefCell<Vec<(String, Mistake)>>,
}

/// Parses a file and lets `read` take it apart. A value comes back only if no mistake was found at all.
pub fn read<T>(file: &str, text: &str, take: impl FnOnce(Table<'_>) -> Option<T>) -> Result<T, Mistakes> {
    let doc = Doc { file, text, found: RefCell::default(), strays: RefCell::default() };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        doc.note(error.span().unwrap_or(0..0), "", error.message());
    }
    let table = Table::new(&doc, String::new(), root.span(), root.get_ref());
    let top = Rc::clone(&table.asked);
    let value = take(table);
    let mut found = doc.found.into_inner();
    found.extend(doc.strays.into_inner().into_iter().map(|(key, stray)| at_top(stray, top.borrow().contains(&*key))));
    found.sort();
    found.dedup();
    match value {
        Some(value) if found.is_empty() => Ok(value),
        // A reader gives nothing only after it noted why; should one forget, the file still does not pass.
        _ if found.is_empty() => Err(Mistakes(vec![Mistake::of_file(file, "it cannot be read")])),
        _ => Err(Mistakes(found)),
    }
}

/// TOML's oldest trap: what stands behind a `[table]` belongs to it.
fn at_top(stray: Mistake, known_there: bool) -> Mistake {
    let what = "it belongs to the top of the file, before the first `[table]`".to_owned();
    if known_there { Mistake { what, ..stray } } else { stray }
}

impl Doc<'_> {
    fn note(&self, span: Range<usize>, field: &str, what: impl Into<String>) {
        self.found.borrow_mut().push(self.mistake(span, field, what.into()));
    }

    fn mistake(&self, span: Range<usize>, field: &str, what: String) -> Mistake {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        Mistake { file: self.file.to_owned(), line, field: field.to_owned(), what }
    }
}

/// A table, and which of its keys were asked for.
pub struct Table<'t> {
    doc: &'t Doc<'t>,
    field: String,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
    asked: Rc<RefCell<BTreeSet<&'static str>>>,
}

/// One value at its place.
#[derive(Clone)]
pub struct Node<'t> {
    doc: &'t Doc<'t>,
    field: String,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Table<'t> {
    fn new(doc: &'t Doc<'t>, field: String, span: Range<usize>, entries: &'t DeTable<'t>) -> Self {
        Self { doc, field, span, entries, asked: Rc::default() }
    }

    fn below(&self, key: &str) -> String {
        if self.field.is_empty() { key.to_owned() } else { format!("{}.{key}", self.field) }
    }

    /// Where it begins, from 1.
    pub fn line(&self) -> usize {
        self.doc.mistake(self.span.clone(), &self.field, String::new()).line
    }

    pub fn get(&self, key: &'static str) -> Option<Node<'t>> {
        self.asked.borrow_mut().insert(key);
        let value = self.entries.get(key)?;
        Some(Node { doc: self.doc, field: self.below(key), value })
    }

    pub fn has(&self, key: &str) -> bool {
        self.entries.get(key).is_some()
    }

    /// As `get`, and a mistake if it is not there.
    pub fn need(&self, key: &'static str, what: &str) -> Option<Node<'t>> {
        let node = self.get(key);
        if node.is_none() {
            self.doc.note(self.span.clone(), &self.below(key), format!("it is missing: {what}"));
        }
        node
    }

    /// A key that is known, and whose use is refused.
    pub fn refuse(&self, key: &'static str, why: &str) {
        if let Some(node) = self.get(key) {
            node.wrong(why);
        }
    }

    /// All entries, for tables whose keys are names.
    pub fn entries(&self) -> Vec<(&'t str, Node<'t>)> {
        let node = |(key, value): (&'t Spanned<DeString<'t>>, _)| {
            let key: &'t str = key.get_ref();
            (key, Node { doc: self.doc, field: self.below(key), value })
        };
        self.entries.iter().map(node).collect()
    }

    /// A list of tables, `[[key]]`; empty if it is not there.
    pub fn tables(&self, key: &'static str) -> Vec<Table<'t>> {
        let list = self.get(key).and_then(|node| node.list());
        list.unwrap_or_default().iter().filter_map(Node::table).collect()
    }

    /// Would this entry, as the only one of its table, be a `T`? If not, its mistake is noted.
    pub fn fits_alone<T: DeserializeOwned>(&self, key: &str) -> bool {
        let Some((name, value)) = self.entries.get_key_value(key) else { return true };
        let alone = DeTable::from_iter([(name.clone(), value.clone())]);
        let result = T::deserialize(Deserializer::from(Spanned::new(self.span.clone(), alone)));
        let Err(error) = result else { return true };
        // An error without a place is about the whole entry.
        self.doc.note(error.span().filter(|s| !s.is_empty()).unwrap_or(name.span()), &self.below(key), error.message());
        false
    }

    /// Nothing, and why.
    pub fn none<T>(&self, what: impl Into<String>) -> Option<T> {
        self.wrong(what);
        None
    }

    pub fn wrong(&self, what: impl Into<String>) {
        self.doc.note(self.span.clone(), &self.field, what);
    }

    /// Every key that nobody asked for is a mistake.
    pub fn done(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.entries.iter().filter(|(key, _)| !asked.contains(&**key.get_ref())) {
            let known: Vec<String> = asked.iter().map(|k| format!("`{k}`")).collect();
            let what = match near::closest(key.get_ref(), &asked) {
                Some(near) => format!("no such key; did you mean `{near}`?"),
                None => format!("no such key; known here: {}", known.join(", ")),
            };
            let mistake = self.doc.mistake(key.span(), &self.below(key.get_ref()), what);
            self.doc.strays.borrow_mut().push((key.get_ref().to_string(), mistake));
        }
    }
}

impl<'t> Node<'t> {
    pub fn wrong(&self, what: impl Into<String>) {
        self.doc.note(self.value.span(), &self.field, what);
    }

    fn typed<T>(&self, value: Option<T>, wanted: &str) -> Option<T> {
        if value.is_none() {
            self.wrong(format!("it is {}, and must be {wanted}", kind(self.value.get_ref())));
        }
        value
    }

    /// The value as serde reads it.
    pub fn serde<T: DeserializeOwned>(&self) -> Option<T> {
        let result = T::deserialize(ValueDeserializer::from(self.value.clone()));
        let noted = |error: &toml::de::Error| {
            self.doc.note(error.span().unwrap_or(self.value.span()), &self.field, error.message())
        };
        result.inspect_err(noted).ok()
    }

    /// A mistake at a place below: `operations[2].tier`. The nearest part of it that exists gives the line.
    pub fn wrong_at(&self, below: &str, what: impl Into<String>) {
        let mut here = self.value;
        for part in below.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
            let inner = match here.get_ref() {
                DeValue::Table(table) => table.get(part),
                DeValue::Array(list) => part.parse::<usize>().ok().and_then(|at| list.get(at)),
                _ => None,
            };
            let Some(inner) = inner else { break };
            here = inner;
        }
        let field = if below.is_empty() { self.field.clone() } else { format!("{}.{below}", self.field) };
        self.doc.note(here.span(), &field, what);
    }

    pub fn text(&self) -> Option<&'t str> {
        self.typed(self.value.get_ref().as_str(), "a text")
    }

    pub fn flag(&self) -> Option<bool> {
        self.typed(self.value.get_ref().as_bool(), "`true` or `false`")
    }

    /// A whole number of zero or more.
    pub fn count(&self) -> Option<u64> {
        let digits = self.value.get_ref().as_integer();
        let number = digits.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        self.typed(number, "a whole number, not below zero")
    }

    /// Is it written without quotes: a number, `true`, a table?
    pub fn value(&self) -> &'t DeValue<'t> {
        self.value.get_ref()
    }

    pub fn table(&self) -> Option<Table<'t>> {
        let table = self.typed(self.value.get_ref().as_table(), "a table")?;
        Some(Table::new(self.doc, self.field.clone(), self.value.span(), table))
    }

    pub fn list(&self) -> Option<Vec<Node<'t>>> {
        let list = self.typed(self.value.get_ref().as_array(), "a list")?;
        let node = |(at, value)| Node { doc: self.doc, field: format!("{}[{at}]", self.field), value };
        Some(list.iter().enumerate().map(node).collect())
    }

    /// A list, or one value that stands for a list of one.
    pub fn one_or_more(&self) -> Vec<Node<'t>> {
        match self.value.get_ref() {
            DeValue::Array(_) => self.list().unwrap_or_default(),
            _ => vec![self.clone()],
        }
    }

    /// A text that `read` makes something of.
    pub fn parsed<T, E: Display>(&self, read: impl FnOnce(&'t str) -> Result<T, E>) -> Option<T> {
        match read(self.text()?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.wrong(error.to_string());
                None
            }
        }
    }

    /// A text out of a closed set.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let known: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.wrong(format!("`{text}` is none of {}", known.join(", ")));
        }
        found
    }

    /// `"2s"`, `"500ms"`, `"1h"`.
    pub fn duration(&self) -> Option<Duration> {
        self.parsed(duration::parse)
    }

    /// A date and time with its offset, bare or as a text.
    pub fn instant(&self) -> Option<Timestamp> {
        let text = match self.value.get_ref() {
            DeValue::Datetime(at) => at.to_string(),
            _ => self.text()?.to_owned(),
        };
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.wrong(format!("`{text}` is no instant: write date, time and offset, such as `2027-01-01T00:00:00Z`"));
        }
        parsed
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
