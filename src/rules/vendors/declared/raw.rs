//! The written form of a price rule, and its check. An expression has exactly one head; what does not belong to it is a
//! mistake that names its field.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer};

use super::{Expr, PLACES, Rule};
use crate::rules::args::Name;
use crate::units::money::scaled_decimal;

/// `[rules.NAME]` of a vendor's table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    pub estimate: RawExpr,
    pub actual: RawActual,
    /// `"5xx"` or `"202"`.
    #[serde(default)]
    pub zero_if: Vec<String>,
    #[serde(default)]
    pub currency: Option<String>,
    #[serde(default)]
    pub provisional: bool,
}

/// `"estimate"`, or an expression over the answer.
#[derive(Clone, Debug)]
pub enum RawActual {
    Estimate,
    Expr(Box<RawExpr>),
}

/// One expression.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawExpr {
    /// A decimal.
    #[serde(rename = "const")]
    constant: Option<String>,
    /// A number among the request's parameters.
    param: Option<String>,
    /// The characters of a parameter.
    chars: Option<String>,
    /// How many things these parameters list.
    count: Option<Vec<String>>,
    /// The message segments of a parameter.
    segments: Option<String>,
    /// A price by the longest prefix of a parameter.
    table: Option<String>,
    /// A number in the JSON answer, by pointer.
    response: Option<String>,
    /// A number in a header of the answer.
    header: Option<String>,
    product: Option<Vec<RawExpr>>,
    sum: Option<Vec<RawExpr>>,
    /// The first of these that is not zero.
    first: Option<Vec<RawExpr>>,
    /// With `count`: the body is a list, and each element has these parameters.
    each: bool,
    prefixes: BTreeMap<String, String>,
    otherwise: Option<String>,
    /// The value if the parameter is missing.
    default: Option<String>,
    at_least: Option<String>,
    at_most: Option<String>,
}

/// Field and problem.
type Mistakes = Vec<(String, String)>;

impl<'de> Deserialize<'de> for RawActual {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = RawActual;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"estimate\"` or an expression such as `{ response = \"/cost\" }`")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<RawActual, E> {
                match text {
                    "estimate" => Ok(RawActual::Estimate),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<RawActual, A::Error> {
                RawExpr::deserialize(MapAccessDeserializer::new(map)).map(|expr| RawActual::Expr(Box::new(expr)))
            }
        }
        d.deserialize_any(Visitor)
    }
}

impl RawRule {
    /// The rule, or all its mistakes.
    pub fn check(&self) -> Result<Rule, Mistakes> {
        let mut mistakes = Vec::new();
        let estimate = self.estimate.check("estimate", &mut mistakes);
        let actual = match &self.actual {
            RawActual::Estimate => None,
            RawActual::Expr(expr) => Some(expr.check("actual", &mut mistakes)),
        };
        if estimate.reads_body() || estimate.reads_headers() {
            mistakes
                .push(("estimate".to_owned(), "the answer is not known yet: use the request's parameters".to_owned()));
        }
        let zero_if = self.zero_if.iter().filter_map(|text| status(text, &mut mistakes)).collect();
        let currency = self.currency.as_deref().unwrap_or("usd").to_ascii_lowercase().into();
        if mistakes.is_empty() {
            Ok(Rule { estimate, actual, zero_if, currency, provisional: self.provisional })
        } else {
            Err(mistakes)
        }
    }
}

fn status(text: &str, mistakes: &mut Mistakes) -> Option<(u16, u16)> {
    let class = text.strip_suffix("xx").and_then(|c| c.parse::<u16>().ok()).filter(|c| (1..=5).contains(c));
    let range = class.map(|c| (c * 100, c * 100 + 99)).or_else(|| text.parse().ok().map(|s| (s, s)));
    if range.is_none() {
        mistakes.push(("zero_if".to_owned(), format!("`{text}` is no status: write `202` or `5xx`")));
    }
    range
}

impl RawExpr {
    fn check(&self, at: &str, mistakes: &mut Mistakes) -> Expr {
        let heads = self.heads();
        let expr = match heads.as_slice() {
            [head] => self.head(head, at, mistakes),
            [] => self.wrong(at, "it says nothing: write `const`, `param`, `count`, `product`, ...", mistakes),
            [first, second, ..] => self.wrong(
                at,
                &format!("`{first}` and `{second}` exclude each other: use `product` or `sum`"),
                mistakes,
            ),
        };
        self.refuse_strays(&heads, at, mistakes);
        self.bounded(expr, at, mistakes)
    }

    fn wrong(&self, at: &str, problem: &str, mistakes: &mut Mistakes) -> Expr {
        mistakes.push((at.to_owned(), problem.to_owned()));
        Expr::Const(0)
    }

    fn heads(&self) -> Vec<&'static str> {
        let all = [
            ("const", self.constant.is_some()),
            ("param", self.param.is_some()),
            ("chars", self.chars.is_some()),
            ("count", self.count.is_some()),
            ("segments", self.segments.is_some()),
            ("table", self.table.is_some()),
            ("response", self.response.is_some()),
            ("header", self.header.is_some()),
            ("product", self.product.is_some()),
            ("sum", self.sum.is_some()),
            ("first", self.first.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }

    fn head(&self, head: &str, at: &str, mistakes: &mut Mistakes) -> Expr {
        let name = |text: &Option<String>| Name::parse(text.as_deref().unwrap_or_default());
        let default = number(self.default.as_deref(), &format!("{at}.default"), mistakes);
        match head {
            "const" => Expr::Const(number(self.constant.as_deref(), &format!("{at}.const"), mistakes).unwrap_or(0)),
            "param" => Expr::Param { name: name(&self.param), default },
            "chars" => Expr::Chars { name: name(&self.chars), default },
            "count" => {
                refuse_empty(self.count.as_deref(), &format!("{at}.count"), mistakes);
                Expr::Count { names: self.count.iter().flatten().map(|n| Name::parse(n)).collect(), each: self.each }
            }
            "segments" => Expr::Segments { name: name(&self.segments), default },
            "table" => self.table(name(&self.table), at, mistakes),
            "response" => Expr::Response { pointer: self.response.as_deref().unwrap_or_default().into(), default },
            "header" => {
                Expr::Header { name: self.header.as_deref().unwrap_or_default().to_ascii_lowercase().into(), default }
            }
            "product" => Expr::Product(list(self.product.as_deref(), &format!("{at}.product"), mistakes)),
            "first" => Expr::First(list(self.first.as_deref(), &format!("{at}.first"), mistakes)),
            _ => Expr::Sum(list(self.sum.as_deref(), &format!("{at}.sum"), mistakes)),
        }
    }

    fn table(&self, name: Name, at: &str, mistakes: &mut Mistakes) -> Expr {
        let price = |(prefix, text): (&String, &String), mistakes: &mut Mistakes| {
            let price = number(Some(text), &format!("{at}.prefixes.{prefix}"), mistakes);
            (prefix.as_str().into(), price.unwrap_or(0))
        };
        let prefixes = self.prefixes.iter().map(|entry| price(entry, mistakes)).collect();
        Expr::Table {
            name,
            prefixes,
            otherwise: number(self.otherwise.as_deref(), &format!("{at}.otherwise"), mistakes),
        }
    }

    /// Fields that belong to another head than this expression's.
    fn refuse_strays(&self, heads: &[&str], at: &str, mistakes: &mut Mistakes) {
        let strays = [
            ("each", self.each, &["count"][..]),
            ("prefixes", !self.prefixes.is_empty(), &["table"]),
            ("otherwise", self.otherwise.is_some(), &["table"]),
            ("default", self.default.is_some(), &["param", "chars", "segments", "response", "header"]),
        ];
        for (field, there, owners) in strays {
            if there && !heads.iter().any(|head| owners.contains(head)) {
                mistakes.push((format!("{at}.{field}"), format!("it only belongs to {}", owners.join(", "))));
            }
        }
    }

    fn bounded(&self, inner: Expr, at: &str, mistakes: &mut Mistakes) -> Expr {
        let at_least = number(self.at_least.as_deref(), &format!("{at}.at_least"), mistakes);
        let at_most = number(self.at_most.as_deref(), &format!("{at}.at_most"), mistakes);
        match (at_least, at_most) {
            (None, None) => inner,
            _ => Expr::Between {
                inner: Box::new(inner),
                at_least: at_least.unwrap_or(0),
                at_most: at_most.unwrap_or(u128::MAX),
            },
        }
    }
}

/// Of nothing the sum is nothing, and the call would be free.
fn refuse_empty<T>(items: Option<&[T]>, at: &str, mistakes: &mut Mistakes) {
    if items.is_none_or(<[T]>::is_empty) {
        mistakes.push((at.to_owned(), "the list is empty".to_owned()));
    }
}

fn list(items: Option<&[RawExpr]>, at: &str, mistakes: &mut Mistakes) -> Box<[Expr]> {
    refuse_empty(items, at, mistakes);
    items.unwrap_or_default().iter().enumerate().map(|(i, item)| item.check(&format!("{at}[{i}]"), mistakes)).collect()
}

fn number(text: Option<&str>, at: &str, mistakes: &mut Mistakes) -> Option<u128> {
    let text = text?;
    let found = scaled_decimal(text, PLACES as usize).map(u128::from);
    if found.is_none() {
        mistakes.push((at.to_owned(), format!("`{text}` is no decimal with at most {PLACES} places, or is too large")));
    }
    found
}
