//! One predicate on a parameter: must it be there, and what may it be. `args` finds the value; a rule decides what follows.
//!
//! A value has to pass on the allowing side and is caught on the denying side, and doubt always goes against the caller: to
//! allow, `one_of` wants the very text; to deny, another letter case or another spelling of a number is the same value, and
//! a value that a test cannot read is caught by it.

mod list;
mod predicate;

pub use list::List;
pub use predicate::{Bound, Scalar, Test};

use super::model::Mode;
use crate::rules::args::{Args, Name, Unreadable, Value};
use std::fmt;
use std::sync::Arc;

/// A predicate on one parameter.
#[derive(Clone, Debug)]
pub struct Param {
    pub name: Target,
    pub presence: Presence,
    /// All of them; of a list every element.
    pub tests: Vec<Test>,
    /// In `[params]`: one that observes refuses nothing.
    pub mode: Mode,
    /// Neither the value nor what was wanted stands in a reason.
    pub redact: bool,
}

/// Must the parameter be there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Required,
    /// Tested if it is there.
    Optional,
    /// Refused if it is there, whatever it is.
    Absent,
}

/// A parameter's name; `*` between dots stands for every element of a list: `personalizations.*.to.*.email`.
#[derive(Clone, Debug)]
pub struct Target {
    text: Box<str>,
    head: Name,
    /// What follows each `*`; `None` behind a last one.
    rest: Box<[Option<Name>]>,
}

impl Target {
    pub fn parse(text: &str) -> Self {
        let separator = if text.starts_with('/') { "/" } else { "." };
        let mut pieces = split_at_stars(text, separator).into_iter();
        let head = pieces.next().flatten().unwrap_or_else(|| Name::parse(text));
        Self { text: text.into(), head, rest: pieces.collect() }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Every plain value that the name leads to, in order; of a list its elements.
    pub fn values<'v>(&self, args: &'v Args<'_>) -> Result<Vec<Value<'v>>, Unreadable> {
        let Some(value) = args.get_named(&self.head)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        walk(value, &self.rest, &mut |leaf| {
            match leaf {
                Leaf::Value(value) | Leaf::NoList(value) => found.push(value),
                Leaf::Missing | Leaf::EmptyList => {}
            }
            None::<()>
        })?;
        Ok(found)
    }
}

/// `a.*.b.*` is `a`, `b` and nothing.
fn split_at_stars(text: &str, separator: &str) -> Vec<Option<Name>> {
    let parts: Vec<&str> = text.split(separator).collect();
    let pieces = parts.split(|part| *part == "*");
    let name = |(at, piece): (usize, &[&str])| {
        // Behind a star a JSON Pointer begins anew, so that its escapes are still read.
        let slash = if separator == "/" && at > 0 { "/" } else { "" };
        (!piece.is_empty()).then(|| Name::parse(&format!("{slash}{}", piece.join(separator))))
    };
    pieces.enumerate().map(name).collect()
}

/// What is wrong with a parameter, in words that follow its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    Missing,
    Present,
    Value {
        shown: String,
        wanted: String,
    },
    /// As `Value`, of a parameter that is not to be shown.
    Hidden,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is not there, and it must be"),
            Self::Present => f.write_str("is there, and it must not be"),
            Self::Hidden => f.write_str("is not as it must be; its value is not shown"),
            Self::Value { shown, wanted } => write!(f, "is {shown}, and it must be {wanted}"),
        }
    }
}

impl Param {
    /// What it is looked up in.
    pub fn lists(&self) -> impl Iterator<Item = &Arc<List>> {
        self.tests.iter().filter_map(|test| match test {
            Test::InList(list) | Test::NotInList(list) => Some(list),
            _ => None,
        })
    }

    /// On the allowing side: what is wrong, if anything is.
    pub fn fault(&self, args: &Args<'_>) -> Result<Option<Fault>, Unreadable> {
        let required = || (self.presence == Presence::Required).then_some(Fault::Missing);
        let Some(value) = args.get_named(&self.name.head)? else { return Ok(required()) };
        if self.presence == Presence::Absent {
            return Ok(Some(Fault::Present));
        }
        let found = walk(value, &self.name.rest, &mut |leaf| match leaf {
            Leaf::Value(value) => self.fault_of(value),
            Leaf::Missing | Leaf::EmptyList => required(),
            Leaf::NoList(value) => Some(Fault::Value { shown: predicate::show(value), wanted: "a list".to_owned() }),
        })?;
        Ok(match found {
            Some(Fault::Value { .. }) if self.redact => Some(Fault::Hidden),
            found => found,
        })
    }

    fn fault_of(&self, value: Value<'_>) -> Option<Fault> {
        if self.tests.is_empty() && is_empty(value) && self.presence == Presence::Required {
            return Some(Fault::Missing);
        }
        let failed = self.tests.iter().find(|t| !t.passes(value))?;
        Some(Fault::Value { shown: predicate::show(value), wanted: failed.to_string() })
    }

    /// On the denying side: does the rule catch this call? Of a list one element suffices.
    pub fn catches(&self, args: &Args<'_>) -> Result<bool, Unreadable> {
        let found = args.get_named(&self.name.head)?;
        if self.presence == Presence::Absent {
            return Ok(found.is_none_or(is_empty));
        }
        let Some(value) = found else { return Ok(false) };
        let caught = walk(value, &self.name.rest, &mut |leaf| match leaf {
            Leaf::Value(value) => self.tests.iter().all(|t| t.catches(value)).then_some(()),
            Leaf::EmptyList => self.tests.is_empty().then_some(()),
            Leaf::Missing => None,
            // Something else where a list was expected cannot be searched, so it is caught.
            Leaf::NoList(_) => Some(()),
        })?;
        Ok(caught.is_some())
    }
}

/// As good as not there: an empty form field, `null`.
fn is_empty(value: Value<'_>) -> bool {
    matches!(value, Value::Null | Value::Text(""))
}

/// What stands at the end of a parameter's name.
enum Leaf<'v> {
    Value(Value<'v>),
    Missing,
    EmptyList,
    /// A `*` in the name, and no list there.
    NoList(Value<'v>),
}

/// Shows every leaf to `see`, in order, until it answers.
fn walk<'v, T>(
    value: Value<'v>,
    rest: &[Option<Name>],
    see: &mut impl FnMut(Leaf<'v>) -> Option<T>,
) -> Result<Option<T>, Unreadable> {
    let list = match (value, rest) {
        (Value::List(list), _) => list,
        (value, []) => return Ok(see(Leaf::Value(value))),
        (value, _) => return Ok(see(Leaf::NoList(value))),
    };
    let (name, rest) = rest.split_first().map_or((None, rest), |(name, rest)| (name.as_ref(), rest));
    let mut empty = true;
    for element in list.values() {
        empty = false;
        let inner = name.map_or(Ok(Some(element)), |name| inside(element, name))?;
        let seen = match inner {
            Some(value) => walk(value, rest, see)?,
            None => see(Leaf::Missing),
        };
        if seen.is_some() {
            return Ok(seen);
        }
    }
    Ok(if empty { see(Leaf::EmptyList) } else { None })
}

fn inside<'v>(element: Value<'v>, name: &Name) -> Result<Option<Value<'v>>, Unreadable> {
    match element {
        Value::Object(group) | Value::List(group) => group.get(name),
        _ => Ok(None),
    }
}
