//! Price rules that the catalogue writes down instead of code: an estimate from the request, an actual cost from the answer.
//! Exact decimals of 1e-12. Knows no vendor; `raw` reads the form, `sms` counts message segments. `meter` asks it last.

mod raw;
mod sms;
#[cfg(test)]
mod tests;

pub use raw::{RawActual, RawExpr, RawRule};

use std::borrow::Cow;

use http::HeaderMap;

use super::ask::Unpriceable;
use crate::rules::args::{Args, Decimal, Name, Value};
use crate::rules::json::{Document, Kind, NodeRef};
use crate::rules::price::Fx;
use crate::units::money::PicoUsd;

/// One, in the unit of a rule's numbers.
const ONE: u128 = 1_000_000_000_000;
/// Decimal places of that unit.
const PLACES: u32 = 12;

/// How a call of one operation is priced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    estimate: Expr,
    /// `None`: what was estimated is what it cost.
    actual: Option<Expr>,
    /// Statuses at which nothing is charged, beside every 4xx.
    zero_if: Vec<(u16, u16)>,
    currency: Box<str>,
    /// The vendor names its price later; until then this one stands.
    pub(super) provisional: bool,
}

/// An amount, computed from the request or from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    Const(u128),
    Param {
        name: Name,
        default: Option<u128>,
    },
    Chars {
        name: Name,
        default: Option<u128>,
    },
    /// How many things these parameters list; with `each`, summed over the elements of a body that is a list.
    Count {
        names: Box<[Name]>,
        each: bool,
    },
    /// Message segments of a text.
    Segments {
        name: Name,
        default: Option<u128>,
    },
    /// By the longest prefix of a parameter.
    Table {
        name: Name,
        prefixes: Box<[(Box<str>, u128)]>,
        otherwise: Option<u128>,
    },
    /// A number in the JSON answer.
    Response {
        pointer: Box<str>,
        default: Option<u128>,
    },
    Header {
        name: Box<str>,
        default: Option<u128>,
    },
    Product(Box<[Expr]>),
    Sum(Box<[Expr]>),
    /// The first that is not zero; all of them must be known.
    First(Box<[Expr]>),
    Between {
        inner: Box<Expr>,
        at_least: u128,
        at_most: u128,
    },
}

/// A rule with all that it takes from the request filled in: what the meter keeps.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    pub estimate: u128,
    actual: Option<Expr>,
    zero_if: Vec<(u16, u16)>,
    currency: Box<str>,
    pub provisional: bool,
}

impl Rule {
    /// Reads the request once.
    pub(super) fn bind(&self, args: &Args<'_>) -> Result<Bound, Unpriceable> {
        let estimate = self.estimate.bind(args)?.constant().unwrap_or(u128::MAX);
        let actual = self.actual.as_ref().map(|expr| expr.bind(args)).transpose()?;
        Ok(Bound {
            estimate,
            actual,
            zero_if: self.zero_if.clone(),
            currency: self.currency.clone(),
            provisional: self.provisional,
        })
    }
}

impl Bound {
    /// What to hold; `None` for a currency that the table does not have.
    pub fn hold(&self, fx: &Fx) -> Option<PicoUsd> {
        fx.convert(self.estimate, &self.currency, true)
    }

    pub fn is_zero_at(&self, status: u16) -> bool {
        self.zero_if.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }

    /// Is the answer's body read?
    pub fn reads_body(&self) -> bool {
        self.actual.as_ref().is_some_and(Expr::reads_body)
    }

    /// Does the answer say anything that the request did not?
    pub fn reads_answer(&self) -> bool {
        self.actual.is_some()
    }

    /// What it cost; `None` if the answer does not say.
    pub fn cost(&self, headers: &HeaderMap, body: &[u8], fx: &Fx) -> Option<PicoUsd> {
        let Some(actual) = &self.actual else {
            return fx.convert(self.estimate, &self.currency, false);
        };
        let document = if actual.reads_body() { Document::parse(body).ok() } else { None };
        let amount = actual.value(&Answer { headers, document: document.as_ref() })?;
        fx.convert(amount, &self.currency, false)
    }
}

struct Answer<'a> {
    headers: &'a HeaderMap,
    document: Option<&'a Document<'a>>,
}

impl Expr {
    /// Replaces what the request says by its value; what only the answer says stays.
    fn bind(&self, args: &Args<'_>) -> Result<Expr, Unpriceable> {
        let all = |list: &[Expr]| list.iter().map(|e| e.bind(args)).collect::<Result<Box<[_]>, _>>();
        Ok(match self {
            Self::Const(_) | Self::Response { .. } | Self::Header { .. } => self.clone(),
            Self::Param { name, default } => Self::Const(number(args, name, *default)?),
            Self::Chars { name, default } => {
                Self::Const(text(args, name)?.map_or(required(name, *default), |t| Ok(whole(t.chars().count())))?)
            }
            Self::Count { names, each } => Self::Const(count(args, names, *each)?),
            Self::Segments { name, default } => {
                Self::Const(text(args, name)?.map_or(required(name, *default), |t| Ok(whole(sms::segments(t))))?)
            }
            Self::Table { name, prefixes, otherwise } => Self::Const(look_up(args, name, prefixes, *otherwise)?),
            Self::Product(list) => Self::Product(all(list)?).folded(),
            Self::Sum(list) => Self::Sum(all(list)?).folded(),
            Self::First(list) => Self::First(all(list)?).folded(),
            Self::Between { inner, at_least, at_most } => {
                Self::Between { inner: Box::new(inner.bind(args)?), at_least: *at_least, at_most: *at_most }.folded()
            }
        })
    }

    /// One constant in place of an expression that has become one.
    fn folded(self) -> Self {
        let nothing = Answer { headers: &HeaderMap::new(), document: None };
        let open = self.reads_body() || self.reads_headers();
        if open { self } else { self.value(&nothing).map_or(self, Self::Const) }
    }

    fn constant(&self) -> Option<u128> {
        if let Self::Const(value) = self { Some(*value) } else { None }
    }

    fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::Product(list) | Self::Sum(list) | Self::First(list) => list.iter().any(|e| e.any(test)),
                Self::Between { inner, .. } => inner.any(test),
                _ => false,
            }
    }

    fn reads_body(&self) -> bool {
        self.any(&|e| matches!(e, Self::Response { .. }))
    }

    fn reads_headers(&self) -> bool {
        self.any(&|e| matches!(e, Self::Header { .. }))
    }

    fn value(&self, answer: &Answer<'_>) -> Option<u128> {
        match self {
            Self::Const(value) => Some(*value),
            Self::Response { pointer, default } => {
                let found = answer.document.and_then(|d| d.pointer(pointer)).filter(|node| !node.is_null());
                found.map_or(*default, |node| magnitude(node.number().or(node.text())?))
            }
            Self::Header { name, default } => {
                let found = answer.headers.get(&**name).map(|value| value.to_str());
                found.map_or(*default, |text| magnitude(text.ok()?.trim()))
            }
            Self::Product(list) => list.iter().try_fold(ONE, |product, e| Some(times(product, e.value(answer)?))),
            Self::Sum(list) => list.iter().try_fold(0u128, |sum, e| Some(sum.saturating_add(e.value(answer)?))),
            Self::First(list) => {
                list.iter().try_fold(0, |found, e| Some(if found > 0 { found } else { e.value(answer)? }))
            }
            Self::Between { inner, at_least, at_most } => Some(inner.value(answer)?.max(*at_least).min(*at_most)),
            // `bind` has put a constant in the place of everything that the request says.
            _ => None,
        }
    }
}

/// The product, rounded up.
fn times(a: u128, b: u128) -> u128 {
    a.checked_mul(b).map_or(u128::MAX, |product| product.div_ceil(ONE))
}

fn whole(n: usize) -> u128 {
    (n as u128).saturating_mul(ONE)
}

/// A number of an answer without its sign: some vendors write a price as a debit.
fn magnitude(text: &str) -> Option<u128> {
    Decimal::parse(text)?.scaled(PLACES).map(i128::unsigned_abs)
}

fn bad(name: &Name, why: &'static str) -> Unpriceable {
    Unpriceable::BadField { field: name.as_str().to_owned(), why }
}

fn required(name: &Name, default: Option<u128>) -> Result<u128, Unpriceable> {
    default.ok_or_else(|| Unpriceable::Unbounded {
        field: name.as_str().to_owned(),
        why: "its cost depends on this parameter, which is missing",
    })
}

fn value<'a>(args: &'a Args<'_>, name: &Name) -> Result<Option<Value<'a>>, Unpriceable> {
    Ok(args.get_named(name)?.filter(|value| !matches!(value, Value::Null)))
}

fn number(args: &Args<'_>, name: &Name, default: Option<u128>) -> Result<u128, Unpriceable> {
    let Some(value) = value(args, name)? else { return required(name, default) };
    let scaled = value.decimal().and_then(|d| d.scaled(PLACES));
    scaled.and_then(|n| u128::try_from(n).ok()).ok_or_else(|| bad(name, "it must be a plain number, not below zero"))
}

fn text<'a>(args: &'a Args<'_>, name: &Name) -> Result<Option<&'a str>, Unpriceable> {
    value(args, name)?.map(|value| value.text().ok_or_else(|| bad(name, "it must be a text"))).transpose()
}

fn look_up(
    args: &Args<'_>,
    name: &Name,
    prefixes: &[(Box<str>, u128)],
    otherwise: Option<u128>,
) -> Result<u128, Unpriceable> {
    let text = plain_number(text(args, name)?.unwrap_or_default());
    let longest =
        prefixes.iter().filter(|(prefix, _)| text.starts_with(&**prefix)).max_by_key(|(prefix, _)| prefix.len());
    longest.map(|(_, price)| *price).map_or_else(|| required(name, otherwise), Ok)
}

/// A telephone number may be written with spaces, brackets and dashes.
fn plain_number(text: &str) -> Cow<'_, str> {
    let part = |c: char| c == '+' || c.is_ascii_digit();
    if !text.starts_with('+') || text.chars().all(part) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| part(*c)).collect())
}

fn count(args: &Args<'_>, names: &[Name], each: bool) -> Result<u128, Unpriceable> {
    if !each {
        let counts = names.iter().map(|name| Ok(value(args, name)?.map_or(0, things)));
        return counts.sum::<Result<usize, Unpriceable>>().map(whole);
    }
    let list = args.document().map(Document::root).filter(|root| matches!(root.kind(), Kind::Array));
    let list = list.ok_or(Unpriceable::BadField { field: "the body".to_owned(), why: "it must be a JSON list" })?;
    let of = |element: NodeRef<'_>| names.iter().map(|name| member(element, name).map_or(0, things_at)).sum::<usize>();
    Ok(whole(list.children().map(of).sum()))
}

fn things(value: Value<'_>) -> usize {
    match value {
        Value::List(list) => list.values().count(),
        Value::Object(object) => object.members().count(),
        _ => 1,
    }
}

fn member<'d>(element: NodeRef<'d>, name: &Name) -> Option<NodeRef<'d>> {
    element.member(name.as_str().trim_start_matches('/')).filter(|node| !node.is_null())
}

fn things_at(node: NodeRef<'_>) -> usize {
    if matches!(node.kind(), Kind::Array | Kind::Object) { node.children().count() } else { 1 }
}
