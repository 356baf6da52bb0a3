//! Price rules that the catalogue writes down instead of code: an estimate from the request, an actual cost from the answer.
//! Exact decimals of 1e-12. Knows no vendor: `raw` reads the form, `sound` names what is malformed in it, `take` reads the
//! request, `shape` bounds and counts a number, `sms` counts message segments, `zero` says when nothing is charged, `late` where
//! a price is found that comes later. `meter` asks it last.

mod late;
mod raw;
mod shape;
mod sms;
mod sound;
mod take;
#[cfg(test)]
mod tests;
mod zero;

pub use late::RawLate;
pub use raw::{RawActual, RawExpr, RawRate, RawRule};
pub use sound::rates as check_rates;

pub(super) use late::LateBound;

use http::HeaderMap;

use self::shape::{Shape, magnitude, times};
use super::ask::Unpriceable;
use crate::rules::args::{Args, Name};
use crate::rules::json::Document;
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
    /// When nothing is charged, beside every 4xx.
    zero_if: Vec<zero::Zero>,
    currency: Box<str>,
    /// The vendor names its price later; until then this one stands.
    pub(super) provisional: bool,
    /// Where that is to be found.
    late: Option<late::Late>,
    /// Calls with the same value of this parameter buy one thing.
    dedupe: Option<Name>,
}

/// An amount, computed from the request or from the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Expr {
    Const(u128),
    /// Not known, and why.
    Unknown(Box<str>),
    /// A parameter that the request lacks, and why it is needed.
    Missing {
        field: String,
        why: &'static str,
    },
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
        over: Over,
        /// Texts that list with commas.
        commas: bool,
    },
    /// One if the parameter is there and is not `false`, else nothing.
    There(Name),
    /// The sum of a number that every element of a list in the JSON body has.
    Total {
        name: Name,
        list: Box<str>,
    },
    /// Message segments of a text.
    Segments {
        name: Name,
        default: Option<u128>,
    },
    /// By a parameter's value, or its longest prefix.
    Table {
        name: Name,
        values: Box<[(Box<str>, u128)]>,
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
    /// The first that is there; a zero is.
    First(Box<[Expr]>),
    /// The first that is not zero; all of them must be known.
    NotZero(Box<[Expr]>),
    /// Of a number, what its shape makes of it.
    Shaped {
        inner: Box<Expr>,
        shape: Shape,
    },
}

/// Where parameters are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Over {
    /// In the request.
    Request,
    /// In each element of a list in the JSON body: of the body itself, or at a pointer.
    Each(Box<str>),
}

/// A rule with all that it takes from the request filled in: what the meter keeps.
#[derive(Clone, Debug)]
pub(super) struct Bound {
    /// Or why it is not known.
    estimate: Result<u128, Unpriceable>,
    actual: Option<Expr>,
    zero_if: Vec<zero::Zero>,
    currency: Box<str>,
    pub provisional: bool,
    pub late: Option<LateBound>,
    pub dedupe: Option<Box<str>>,
}

impl Rule {
    /// Reads the request once.
    pub(super) fn bind(&self, args: &Args<'_>) -> Result<Bound, Unpriceable> {
        let estimate = self.estimate.bind(args)?;
        let estimate = estimate.unknown().map_or_else(|| Ok(estimate.constant().unwrap_or(u128::MAX)), Err);
        let actual = self.actual.as_ref().map(|expr| expr.bind(args)).transpose()?;
        let dedupe = self.dedupe.as_ref().map(|name| take::word(args, name)).transpose()?.flatten();
        Ok(Bound {
            estimate,
            actual,
            zero_if: self.zero_if.clone(),
            currency: self.currency.clone(),
            provisional: self.provisional,
            late: self.late.as_ref().map(|late| late.bind(args, &self.currency)).transpose()?.flatten(),
            dedupe,
        })
    }

    /// What is still to be asked for of a call whose request nobody has any more; `None` if that took anything from it.
    pub(super) fn resumed(&self) -> Option<Bound> {
        let late = self.late.as_ref()?.resumed(&self.currency)?;
        Some(Bound {
            estimate: Err(Unpriceable::NotSet("the call is over".to_owned())),
            actual: None,
            zero_if: Vec::new(),
            currency: self.currency.clone(),
            provisional: true,
            late: Some(late),
            dedupe: None,
        })
    }
}

impl Bound {
    /// What to hold.
    pub fn hold(&self, fx: &Fx) -> Result<PicoUsd, Unpriceable> {
        let usd = fx.convert(self.estimate.clone()?, &self.currency, true);
        usd.ok_or_else(|| Unpriceable::UnknownCurrency(self.currency.to_string()))
    }

    pub fn is_zero_at(&self, status: u16) -> bool {
        self.zero_if.iter().any(|zero| zero.is_status(status))
    }

    /// Is the answer's body read?
    pub fn reads_body(&self) -> bool {
        self.actual.as_ref().is_some_and(Expr::reads_body)
            || self.zero_if.iter().any(zero::Zero::reads_body)
            || self.late.is_some()
    }

    /// Does the answer say anything that the request did not?
    pub fn reads_answer(&self) -> bool {
        self.actual.is_some() || self.reads_body() || !self.zero_if.is_empty()
    }

    /// What it cost; `None` if the answer does not say.
    pub fn cost(&self, headers: &HeaderMap, body: &[u8], fx: &Fx) -> Option<PicoUsd> {
        let document = if self.reads_body() { Document::parse(body).ok() } else { None };
        let answer = Answer { headers, document: document.as_ref() };
        if self.zero_if.iter().any(|zero| zero.holds(&answer)) {
            return Some(PicoUsd(0));
        }
        let amount = match &self.actual {
            None => self.estimate.as_ref().ok().copied(),
            Some(actual) => actual.value(&answer),
        };
        fx.convert(amount?, &self.currency, false)
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
            Self::Const(_) | Self::Unknown(_) | Self::Missing { .. } | Self::Response { .. } | Self::Header { .. } => {
                self.clone()
            }
            Self::Param { name, default } => Self::taken(take::number(args, name, *default))?,
            Self::Chars { name, default } => Self::taken(take::chars(args, name, *default))?,
            Self::Count { names, over, commas } => Self::taken(take::count(args, names, over, *commas))?,
            Self::There(name) => Self::taken(take::there(args, name))?,
            Self::Total { name, list } => Self::taken(take::total(args, name, list))?,
            Self::Segments { name, default } => Self::taken(take::segments(args, name, *default))?,
            Self::Table { name, values, prefixes, otherwise } => {
                Self::taken(take::look_up(args, name, values, prefixes, *otherwise))?
            }
            Self::Product(list) => Self::product(list, args)?,
            Self::Sum(list) => Self::Sum(all(list)?).folded(),
            Self::First(list) => Self::First(all(list)?).folded(),
            Self::NotZero(list) => Self::NotZero(all(list)?).folded(),
            Self::Shaped { inner, shape } => {
                Self::Shaped { inner: Box::new(inner.bind(args)?), shape: shape.clone() }.folded()
            }
        })
    }

    /// What the request says, or that it does not: then a ceiling may stand in.
    fn taken(found: Result<u128, Unpriceable>) -> Result<Expr, Unpriceable> {
        match found {
            Ok(value) => Ok(Self::Const(value)),
            Err(Unpriceable::Unbounded { field, why }) => Ok(Self::Missing { field, why }),
            Err(wrong) => Err(wrong),
        }
    }

    /// What is multiplied by nothing need not be known.
    fn product(list: &[Expr], args: &Args<'_>) -> Result<Expr, Unpriceable> {
        let mut bound = Vec::with_capacity(list.len());
        for factor in list {
            match factor.bind(args)? {
                Self::Const(0) => return Ok(Self::Const(0)),
                factor => bound.push(factor),
            }
        }
        Ok(Self::Product(bound.into()).folded())
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

    /// Why it has no value, whatever the answer.
    fn unknown(&self) -> Option<Unpriceable> {
        match self {
            Self::Unknown(why) => Some(Unpriceable::NotSet(why.to_string())),
            Self::Missing { field, why } => Some(Unpriceable::unbounded(field.clone(), why)),
            Self::Product(list) | Self::Sum(list) | Self::First(list) | Self::NotZero(list) => {
                list.iter().find_map(Self::unknown)
            }
            Self::Shaped { inner, .. } => inner.unknown(),
            _ => None,
        }
    }

    fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::Product(list) | Self::Sum(list) | Self::First(list) | Self::NotZero(list) => {
                    list.iter().any(|e| e.any(test))
                }
                Self::Shaped { inner, .. } => inner.any(test),
                _ => false,
            }
    }

    fn reads_body(&self) -> bool {
        self.any(&|e| matches!(e, Self::Response { .. }))
    }

    fn reads_request(&self) -> bool {
        self.any(&|e| {
            let request = matches!(e, Self::Param { .. } | Self::Chars { .. } | Self::Count { .. } | Self::There(_));
            request || matches!(e, Self::Segments { .. } | Self::Table { .. } | Self::Total { .. })
        })
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
            Self::First(list) => list.iter().find_map(|e| e.value(answer)),
            Self::NotZero(list) => {
                list.iter().try_fold(0, |found, e| Some(if found > 0 { found } else { e.value(answer)? }))
            }
            Self::Shaped { inner, shape } => Some(shape.of(inner.value(answer)?)),
            // `bind` has put a constant in the place of everything that the request says.
            _ => None,
        }
    }
}

fn whole(n: usize) -> u128 {
    (n as u128).saturating_mul(ONE)
}
